package dial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

// attempt is how a fake dial of one address goes.
type attempt struct {
	takes time.Duration
	conn  *net.TCPConn
	err   error
}

// course is a set of fake dials, and what became of them.
type course struct {
	began    time.Time
	attempts map[string]attempt

	mu        sync.Mutex
	started   []string // "address after time", in order
	cancelled []string
}

func (c *course) connect(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	host := to.Addr().String()
	c.mu.Lock()
	c.started = append(c.started, fmt.Sprintf("%s after %s", host, time.Since(c.began)))
	c.mu.Unlock()
	a := c.attempts[host]
	timer := time.NewTimer(a.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return a.conn, a.err
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cancelled = append(c.cancelled, host)
		return nil, ctx.Err()
	}
}

func addrs(list ...string) []netip.Addr {
	var ips []netip.Addr
	for _, s := range list {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips
}

const never = time.Hour

func TestRace(t *testing.T) {
	errRefused, errNoRoute := errors.New("refused"), errors.New("no route")
	near, _ := coretest.LoopbackPair(t)
	for _, tc := range []struct {
		name      string
		ips       []netip.Addr
		attempts  map[string]attempt
		started   []string
		cancelled []string
		took      time.Duration
		errs      []error // joined, in order; none for success
	}{
		{
			"one address", addrs("192.0.2.1"),
			map[string]attempt{"192.0.2.1": {time.Second, near, nil}},
			[]string{"192.0.2.1 after 0s"}, nil, time.Second, nil,
		},
		{
			"the first is fast", addrs("192.0.2.1", "192.0.2.2"),
			map[string]attempt{"192.0.2.1": {249 * time.Millisecond, near, nil}},
			[]string{"192.0.2.1 after 0s"}, nil, 249 * time.Millisecond, nil,
		},
		{
			"families take turns", addrs("2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"),
			map[string]attempt{
				"2001:db8::1": {takes: never}, "2001:db8::2": {takes: never},
				"192.0.2.1": {takes: never}, "192.0.2.2": {10 * time.Millisecond, near, nil},
			},
			[]string{"2001:db8::1 after 0s", "192.0.2.1 after 250ms", "2001:db8::2 after 500ms", "192.0.2.2 after 750ms"},
			[]string{"192.0.2.1", "2001:db8::1", "2001:db8::2"}, 760 * time.Millisecond, nil,
		},
		{
			"a failure starts the next at once", addrs("192.0.2.1", "192.0.2.2", "192.0.2.3"),
			map[string]attempt{
				"192.0.2.1": {10 * time.Millisecond, nil, errRefused}, "192.0.2.2": {takes: never},
				"192.0.2.3": {5 * time.Millisecond, near, nil},
			},
			[]string{"192.0.2.1 after 0s", "192.0.2.2 after 10ms", "192.0.2.3 after 260ms"},
			[]string{"192.0.2.2"}, 265 * time.Millisecond, nil,
		},
		{
			"the slow one wins", addrs("192.0.2.1", "192.0.2.2"),
			map[string]attempt{"192.0.2.1": {time.Second, near, nil}, "192.0.2.2": {time.Millisecond, nil, errRefused}},
			[]string{"192.0.2.1 after 0s", "192.0.2.2 after 250ms"}, nil, time.Second, nil,
		},
		{
			"all fail", addrs("192.0.2.1", "192.0.2.2"),
			map[string]attempt{"192.0.2.1": {time.Second, nil, errRefused}, "192.0.2.2": {time.Second, nil, errNoRoute}},
			[]string{"192.0.2.1 after 0s", "192.0.2.2 after 250ms"}, nil, 1250 * time.Millisecond, []error{errRefused, errNoRoute},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &course{began: time.Now(), attempts: tc.attempts}
				before := slices.Clone(tc.ips)
				conn, err := dial.Race(t.Context(), tc.ips, 80, c.connect)
				if took := time.Since(c.began); took != tc.took {
					t.Errorf("took %s, want %s", took, tc.took)
				}
				synctest.Wait()
				slices.Sort(c.cancelled)
				if !slices.Equal(c.started, tc.started) || !slices.Equal(c.cancelled, tc.cancelled) {
					t.Errorf("started %q, cancelled %q, want %q, %q", c.started, c.cancelled, tc.started, tc.cancelled)
				}
				if !slices.Equal(tc.ips, before) {
					t.Errorf("the caller's addresses were changed: got %v, want %v", tc.ips, before)
				}
				if tc.errs == nil {
					if conn != near || err != nil {
						t.Errorf("got %v, %v, want the connection", conn, err)
					}
					return
				}
				for _, want := range tc.errs {
					if conn != nil || !errors.Is(err, want) {
						t.Errorf("got %v, %v, want nil, an error that wraps %v", conn, err, want)
					}
				}
			})
		})
	}
}

// An attempt that succeeds after another has won is closed.
func TestRaceClosesLosers(t *testing.T) {
	winner, _ := coretest.LoopbackPair(t)
	loser, far := coretest.LoopbackPair(t)
	release := make(chan struct{})
	connect := func(_ context.Context, to netip.AddrPort) (*net.TCPConn, error) {
		if to.Addr() == netip.MustParseAddr("192.0.2.1") {
			<-release // it does not hear its context
			return loser, nil
		}
		return winner, nil
	}
	conn, err := dial.Race(t.Context(), addrs("192.0.2.1", "192.0.2.2"), 80, connect)
	if conn != winner || err != nil {
		t.Fatalf("got %v, %v, want the second address's connection", conn, err)
	}
	close(release)
	if err := far.SetDeadline(time.Now().Add(coretest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the loser's far end: got %v, want io.EOF", err)
	}
}

func TestRaceCancelled(t *testing.T) {
	for _, ips := range [][]netip.Addr{addrs("192.0.2.1"), addrs("192.0.2.1", "192.0.2.2", "192.0.2.3")} {
		synctest.Test(t, func(t *testing.T) {
			c := &course{began: time.Now(), attempts: map[string]attempt{
				"192.0.2.1": {takes: never}, "192.0.2.2": {takes: never}, "192.0.2.3": {takes: never},
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			conn, err := dial.Race(ctx, ips, 80, c.connect)
			if took := time.Since(c.began); conn != nil || !errors.Is(err, context.DeadlineExceeded) || took != 300*time.Millisecond {
				t.Errorf("got %v, %v after %s, want nil, the context's error after 300ms", conn, err, took)
			}
		})
	}
}

func TestRaceNoAddress(t *testing.T) {
	connect := func(context.Context, netip.AddrPort) (*net.TCPConn, error) { panic("dialled") }
	if conn, err := dial.Race(t.Context(), nil, 80, connect); conn != nil || err == nil {
		t.Errorf("got %v, %v, want nil, an error", conn, err)
	}
}

// The families take turns, beginning with that of the first address.
func TestRaceInterleaves(t *testing.T) {
	for _, tc := range []struct{ in, want []netip.Addr }{
		{addrs("192.0.2.1"), addrs("192.0.2.1")},
		{addrs("192.0.2.1", "192.0.2.2"), addrs("192.0.2.1", "192.0.2.2")},
		{addrs("192.0.2.1", "192.0.2.2", "2001:db8::1"), addrs("192.0.2.1", "2001:db8::1", "192.0.2.2")},
		{addrs("2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"), addrs("2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3")},
	} {
		var got []netip.Addr
		_, _ = dial.Race(t.Context(), tc.in, 80, func(_ context.Context, to netip.AddrPort) (*net.TCPConn, error) {
			got = append(got, to.Addr()) // one at a time: each fails before the next begins
			return nil, errors.New("refused")
		})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%v: got %v, want %v", tc.in, got, tc.want)
		}
	}
}

// TestRaceBound checks that of many addresses a few are tried, of both families.
func TestRaceBound(t *testing.T) {
	var ips []netip.Addr
	for i := range 200 {
		ips = append(ips, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	ips = append(ips, addrs("2001:db8::1")...)
	var tried []netip.Addr
	var mu sync.Mutex
	refused := errors.New("refused")
	_, err := dial.Race(t.Context(), ips, 80, func(_ context.Context, to netip.AddrPort) (*net.TCPConn, error) {
		mu.Lock()
		defer mu.Unlock()
		tried = append(tried, to.Addr())
		return nil, refused
	})
	if !errors.Is(err, refused) || len(tried) != 32 || tried[1] != ips[200] {
		t.Errorf("got %d attempts, %v first, %v, want 32 with the other family second", len(tried), tried[:2], err)
	}
}
