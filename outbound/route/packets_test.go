package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// line is a branch's PacketConn, which notes what it is given.
type line struct {
	mu     sync.Mutex
	got    []string // guarded by mu, as all that follows
	sink   core.PacketSink
	closed int
	err    error // of WritePackets
	flow   *core.Flow
}

func (l *line) WritePackets(ps []core.Packet) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	for _, p := range ps {
		l.got = append(l.got, p.Addr.String()+" "+string(p.Data))
		clear(p.Data)
	}
	return len(ps), nil
}

func (l *line) Receive(sink core.PacketSink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sink = sink
}

func (l *line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed++
	return nil
}

func (l *line) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.got, ", ")
}

// lines opens a line for each OpenPackets of a dialer.
type lines struct{ all []*line }

func (ls *lines) open(_ context.Context, r *core.Request) (core.PacketConn, error) {
	l := &line{flow: r.Flow}
	ls.all = append(ls.all, l)
	return l, nil
}

func packet(t testing.TB, to, data string) core.Packet {
	return core.Packet{Addr: coretest.Addr(t, to), Data: []byte(data)}
}

// association opens one through a world whose branches are lines.
func association(t *testing.T, w *world) (c core.PacketConn, r *core.Request, ads, office, rest *lines) {
	ads, office, rest = new(lines), new(lines), new(lines)
	w.ads.Packets, w.office.Packets, w.rest.Packets = ads.open, office.open, rest.open
	r = &core.Request{Network: core.UDP, Flow: new(core.Flow)}
	c, err := w.dialer(t).OpenPackets(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return c, r, ads, office, rest
}

// TestPackets sends a burst to targets of all branches and gets answers by all of them.
func TestPackets(t *testing.T) {
	c, r, ads, office, rest := association(t, newWorld())
	if len(ads.all)+len(office.all)+len(rest.all) != 0 {
		t.Error("a branch was opened before its first datagram")
	}
	var got []string
	c.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			got = append(got, p.Addr.String()+" "+string(p.Data))
		}
	})
	n, err := c.WritePackets([]core.Packet{
		packet(t, "192.0.2.1:1", "a"), packet(t, "10.0.0.1:1", "b"), packet(t, "192.0.2.2:1", "c"), packet(t, "x.ads:1", "d"), packet(t, "10.0.0.1:1", "e"),
	})
	if n != 5 || err != nil {
		t.Errorf("got %d, %v, want all 5", n, err)
	}
	for _, tc := range []struct {
		name string
		ls   *lines
		want string
	}{{"rest", rest, "192.0.2.1:1 a, 192.0.2.2:1 c"}, {"office", office, "10.0.0.1:1 b, 10.0.0.1:1 e"}, {"ads", ads, "x.ads:1 d"}} {
		if len(tc.ls.all) != 1 || tc.ls.all[0].text() != tc.want {
			t.Errorf("%s: got %d lines, %v, want %s", tc.name, len(tc.ls.all), tc.ls.all, tc.want)
		}
	}
	for _, ls := range []*lines{rest, office, ads} {
		ls.all[0].sink([]core.Packet{packet(t, "192.0.2.9:9", "answer")})
	}
	if len(got) != 3 {
		t.Errorf("got %q, want an answer by each branch", got)
	}
	if path := strings.Join(r.Flow.Chosen(), " "); path != "outbound.rest rule.office rule.ads" && path != "outbound.rest rule.ads rule.office" && len(r.Flow.Chosen()) != 3 {
		t.Errorf("got the path %s", path)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.WritePackets([]core.Packet{packet(t, "192.0.2.1:1", "a")}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %v, want net.ErrClosed", err)
	}
	for _, ls := range []*lines{rest, office, ads} {
		if ls.all[0].closed != 1 {
			t.Errorf("got %d calls of Close", ls.all[0].closed)
		}
	}
}

// TestPacketsBranchEnds has a branch fail, by an error and by a cut of its flow: the others go
// on, and it is opened again.
func TestPacketsBranchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r, _, office, rest := association(t, newWorld())
		c.Receive(func([]core.Packet) {})
		write := func(to string) {
			t.Helper()
			if _, err := c.WritePackets([]core.Packet{packet(t, to, "x")}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		write("10.0.0.1:1")
		write("192.0.2.1:1")
		time.Sleep(2 * shortLife)
		office.all[0].flow.Cut(errors.New("the server has gone"))
		synctest.Wait()
		write("10.0.0.1:1")
		write("192.0.2.1:1")
		if len(office.all) != 2 || office.all[0].closed != 1 || office.all[1].text() != "10.0.0.1:1 x" {
			t.Errorf("cut: got %d lines, want a second one", len(office.all))
		}
		time.Sleep(2 * shortLife)
		office.all[1].mu.Lock()
		office.all[1].err = net.ErrClosed
		office.all[1].mu.Unlock()
		write("10.0.0.1:1")
		write("10.0.0.1:1")
		if len(office.all) != 3 || office.all[1].closed != 1 {
			t.Errorf("failed: got %d lines, want a third one", len(office.all))
		}
		if len(rest.all) != 1 || rest.all[0].closed != 0 || r.Flow.Cause() != nil {
			t.Error("the end of one branch touched another")
		}
		office.all[2].flow.Drop(core.DropFull, 3)
		if ds := r.Flow.TakeDropped(); len(ds) != 2 || ds[0].Reason != core.DropUnreachable || ds[1].Count != 3 {
			t.Errorf("got the drops %v, want those of the branch, and what was lost as it failed", ds)
		}
	})
}

// TestPacketsFailing has a branch fail at each datagram: it is not opened for each.
func TestPacketsFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c, r, _, _, _ := association(t, w)
		opened := 0
		w.office.Packets = func(_ context.Context, r *core.Request) (core.PacketConn, error) {
			opened++
			return &line{flow: r.Flow, err: net.ErrClosed}, nil
		}
		c.Receive(func([]core.Packet) {})
		for range 200 {
			_, _ = c.WritePackets([]core.Packet{packet(t, "10.0.0.1:1", "x")})
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		if opened != 2 {
			t.Errorf("got %d attempts in 2 s, want 2", opened)
		}
		if ds := r.Flow.TakeDropped(); len(ds) != 1 || ds[0].Reason != core.DropUnreachable || ds[0].Count != 200 {
			t.Errorf("got the drops %v, want all 200 unreachable", ds)
		}
		c.Close()
	})
}

// TestPacketsLookup has datagrams wait for a lookup while others pass.
func TestPacketsLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.names = &coretest.Resolver{Names: map[string][]netip.Addr{"git.corp": {netip.MustParseAddr("10.0.0.1")}}, Hold: make(chan struct{})}
		c, r, ads, office, rest := association(t, w)
		c.Receive(func([]core.Packet) {})
		n, err := c.WritePackets([]core.Packet{packet(t, "git.corp:1", "a"), packet(t, "192.0.2.1:1", "b"), packet(t, "x.ads:1", "c"), packet(t, "gone.corp:1", "d")})
		if n != 4 || err != nil {
			t.Errorf("got %d, %v, want 4", n, err)
		}
		if len(office.all) != 0 || rest.all[0].text() != "192.0.2.1:1 b" || ads.all[0].text() != "x.ads:1 c" {
			t.Error("a lookup holds others up")
		}
		synctest.Wait()
		close(w.names.Hold)
		synctest.Wait()
		if len(office.all) != 1 || office.all[0].text() != "git.corp:1 a" {
			t.Errorf("got %v, want the datagram under its name", office.all)
		}
		for range 3 {
			_, _ = c.WritePackets([]core.Packet{packet(t, "git.corp:1", "e"), packet(t, "gone.corp:1", "f")})
		}
		synctest.Wait()
		if asked := w.names.Asked(); len(asked) != 2 {
			t.Errorf("got lookups of %q, want one for each name", asked)
		}
		ds := r.Flow.TakeDropped()
		if len(ds) != 1 || ds[0].Reason != core.DropName || ds[0].Count != 4 {
			t.Errorf("got the drops %v, want 4 for the name that is not found", ds)
		}
		time.Sleep(judgedLife + time.Second)
		_, _ = c.WritePackets([]core.Packet{packet(t, "git.corp:1", "g")})
		synctest.Wait()
		if asked := w.names.Asked(); len(asked) != 3 || office.all[0].text() != "git.corp:1 a, git.corp:1 e, git.corp:1 e, git.corp:1 e, git.corp:1 g" {
			t.Errorf("after a while: got lookups of %q and %s", asked, office.all[0].text())
		}
		c.Close()
	})
}

// TestPacketsBounds sends to more targets, and to more unknown names, than are remembered.
func TestPacketsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.remember = 100
		w.names = &coretest.Resolver{Hold: make(chan struct{})}
		c, r, _, _, rest := association(t, w)
		conn := c.(*packets)
		c.Receive(func([]core.Packet) {})
		for i := range 500 {
			_, _ = c.WritePackets([]core.Packet{packet(t, fmt.Sprintf("192.0.2.%d:%d", i%250, 1+i), "x")})
		}
		if got := len(strings.Split(rest.all[0].text(), ", ")); got != 500 {
			t.Errorf("got %d datagrams, want all 500", got)
		}
		for i := range 500 {
			_, _ = c.WritePackets([]core.Packet{packet(t, fmt.Sprintf("name%d.corp:1", i), "x")})
		}
		conn.mu.Lock()
		if len(conn.targets) > 100 || conn.lookups > conn.atOnce() {
			t.Errorf("got %d targets and %d lookups, want at most 100 and %d", len(conn.targets), conn.lookups, conn.atOnce())
		}
		lookups := conn.lookups
		conn.mu.Unlock()
		ds := r.Flow.TakeDropped()
		if len(ds) != 1 || ds[0].Reason != core.DropCrowded || ds[0].Count != 500-lookups {
			t.Errorf("got the drops %v with %d lookups, want the other names", ds, lookups)
		}
		c.Close()
		synctest.Wait()
	})
}

// TestPacketsRefused has a branch that refuses associations.
func TestPacketsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c, r, _, _, rest := association(t, w)
		opened := 0
		w.office.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { opened++; return nil, core.ErrDenied }
		c.Receive(func([]core.Packet) {})
		for range 10 {
			_, _ = c.WritePackets([]core.Packet{packet(t, "10.0.0.1:1", "x"), packet(t, "192.0.2.1:1", "y")})
		}
		if opened != 1 {
			t.Errorf("got %d attempts, want 1 for a while", opened)
		}
		if ds := r.Flow.TakeDropped(); len(ds) != 1 || ds[0].Reason != core.DropDenied || ds[0].Count != 10 {
			t.Errorf("got the drops %v, want 10 denied", ds)
		}
		if got := len(strings.Split(rest.all[0].text(), ", ")); got != 10 {
			t.Errorf("got %d datagrams by the other branch, want 10", got)
		}
	})
}

// slowMeter lets nothing pass after the first burst.
type slowMeter struct{}

func (slowMeter) Take(up, down int) (time.Duration, error) {
	return time.Duration(up) * time.Hour, nil
}

// TestPacketsMeter has a policy of one branch meter it.
func TestPacketsMeter(t *testing.T) {
	w := newWorld()
	c, r, _, office, rest := association(t, w)
	w.office.Packets = func(ctx context.Context, r *core.Request) (core.PacketConn, error) {
		r.Flow.Use(slowMeter{})
		return office.open(ctx, r)
	}
	c.Receive(func([]core.Packet) {})
	for range 3 {
		_, _ = c.WritePackets([]core.Packet{packet(t, "10.0.0.1:1", "x"), packet(t, "192.0.2.1:1", "y")})
	}
	if got := office.all[0].text(); got != "10.0.0.1:1 x" {
		t.Errorf("got %s by the metered branch, want one datagram", got)
	}
	if got := rest.all[0].text(); got != "192.0.2.1:1 y, 192.0.2.1:1 y, 192.0.2.1:1 y" {
		t.Errorf("got %s by the other", got)
	}
	if ds := r.Flow.TakeDropped(); len(ds) != 1 || ds[0].Reason != core.DropPaused || ds[0].Count != 2 {
		t.Errorf("got the drops %v, want 2 paused", ds)
	}
}

// BenchmarkPackets sends bursts of 32 to a few targets by a route of a thousand rules.
func BenchmarkPackets(b *testing.B) {
	d := &dialer{Outbound: &Outbound{remember: 256}}
	next := &coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return drain{}, nil }}
	for range 1000 {
		d.rules, d.names, d.branches = append(d.rules, below{name: ".ads"}), append(d.names, "rule.ads"), append(d.branches, next)
	}
	d.branches = append(d.branches, next)
	d.env = core.Env{Process: new(core.Process)}
	c, err := d.OpenPackets(b.Context(), &core.Request{Network: core.UDP, Flow: new(core.Flow)})
	if err != nil {
		b.Fatal(err)
	}
	ps := make([]core.Packet, 32)
	for i := range ps {
		ps[i] = packet(b, fmt.Sprintf("192.0.2.%d:443", i%4), strings.Repeat("x", 512))
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.WritePackets(ps)
	}
}

type drain struct{}

func (drain) WritePackets(ps []core.Packet) (int, error) { return len(ps), nil }
func (drain) Receive(core.PacketSink)                    {}
func (drain) Close() error                               { return nil }
