package failures

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// logged is a Reporter with its lines.
func logged(hops ...string) (*Reporter, *bytes.Buffer) {
	b := new(bytes.Buffer)
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	r := New(slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: noTime})))
	names := map[string]bool{}
	for _, h := range hops {
		names[h] = true
	}
	r.SetHops(names)
	return r, b
}

func failed(path string, err error) core.Event {
	return core.Event{Kind: core.DialFailed, Request: &core.Request{Flow: new(core.Flow)}, Path: []string{path}, Err: err}
}

func closed(path string, up, down int64) core.Event {
	e := core.Event{Kind: core.Closed, Request: &core.Request{Flow: new(core.Flow)}, Path: []string{path}, Stages: core.Stages{Reached: time.Now()}}
	e.Request.Flow.Up.Store(up)
	e.Request.Flow.Down.Store(down)
	return e
}

// An association that was never open is told as a failed dial, another one is not.
func TestUnopened(t *testing.T) {
	r, b := logged("home")
	for _, err := range []error{syscall.ECONNRESET, core.Unopened(syscall.ECONNREFUSED)} {
		e := closed("outbound.home", 0, 0)
		e.Err = err
		r.Observe(e)
	}
	if got := b.String(); strings.Count(got, "requests failed") != 1 || !strings.Contains(got, "outbound=home reason=refused") {
		t.Errorf("got the lines %q, want one for the association that was not opened", got)
	}
}

// TestAggregates: the first failure of a kind is told at once, the others once a minute.
func TestAggregates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := logged()
		lines := func(want int, last string) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			got := strings.Split(strings.TrimSpace(b.String()), "\n")
			if len(got) != want || !strings.Contains(got[len(got)-1], last) {
				t.Fatalf("got %d lines, want %d and %q in the last one:\n%s", len(got), want, last, b)
			}
		}
		refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
		for range 1173 {
			r.Observe(failed("outbound.direct", refused))
		}
		lines(1, "requests failed")
		r.Observe(failed("outbound.direct", &net.DNSError{Name: "x.test", Err: "no such host"}))
		lines(2, "reason=name")
		time.Sleep(every + time.Second)
		lines(3, "outbound=direct reason=refused more=1172 within=1m0s")
		time.Sleep(2 * every)
		r.Observe(failed("outbound.direct", refused)) // the first one again
		lines(4, "outbound=direct reason=refused err=")
		r.Observe(failed("outbound.direct", refused))
		r.Close()
		lines(5, "more=1")
	})
}

// TestSilence: a hop that leaves requests without an answer is told, unless it answers
// some.
func TestSilence(t *testing.T) {
	r, b := logged("outbound.home")
	defer r.Close()
	for range 4 {
		r.Observe(closed("outbound.home", 10, 0))
	}
	r.Observe(closed("outbound.home", 10, 10))
	for range 4 {
		r.Observe(closed("outbound.home", 10, 0))
		r.Observe(closed("outbound.home", 0, 0))    // nothing was asked
		r.Observe(closed("outbound.direct", 10, 0)) // the target's own silence
	}
	if b.Len() > 0 {
		t.Errorf("too early: %s", b)
	}
	r.Observe(closed("outbound.home", 10, 0))
	if got, want := b.String(), `msg="no answer to any request" requests=5 outbound=home reason=silence hint="wrong method or password, or its clock?"`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHints(t *testing.T) {
	for _, tc := range []struct {
		name string
		hop  bool
		err  error
		want string
	}{
		{"a dead server", true, syscall.ECONNREFUSED, "is the server running"},
		{"a dead target", false, syscall.ECONNREFUSED, "the port of the target"},
		{"a silent server", true, os.ErrDeadlineExceeded, "the server is down"},
		{"no local ports", true, fmt.Errorf("dial: %w", syscall.EADDRNOTAVAIL), "ip_local_port_range"},
		{"no descriptors", false, syscall.EMFILE, "LimitNOFILE"},
		{"a name", true, &net.DNSError{}, "umbra resolve"},
		{"login", true, core.ErrAuth, "wrong user or password"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, b := logged()
			if tc.hop {
				r, b = logged("outbound.o")
			}
			defer r.Close()
			r.Observe(failed("outbound.o", tc.err))
			if !strings.Contains(b.String(), tc.want) {
				t.Errorf("got %s, want %q in it", b, tc.want)
			}
		})
	}
}

// TestQuiet: what is no failure of an outbound makes no line.
func TestQuiet(t *testing.T) {
	r, b := logged("outbound.home")
	defer r.Close()
	r.Observe(core.Event{Kind: core.Connected})
	r.Observe(core.Event{Kind: core.HandshakeFailed, Err: core.ErrAuth}) // has its own line
	r.Observe(failed("outbound.home", core.ErrShutdown))
	r.Observe(core.Event{Kind: core.Closed, Request: &core.Request{Flow: new(core.Flow)}, Err: core.ErrIdle})
	if b.Len() > 0 {
		t.Errorf("got %s", b)
	}
}

// TestBounded: failures of ever new kinds share a line.
func TestBounded(t *testing.T) {
	r, b := logged()
	for i := range 5 * maxKinds {
		r.Observe(failed(fmt.Sprintf("outbound.o%d", i), errors.New("x")))
	}
	if got, want := strings.Count(b.String(), "\n"), maxKinds+1; got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
	r.Close()
}

// TestDropped: the datagrams that associations dropped are told by reason, in few lines.
func TestDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := logged()
		ended := func() {
			var f core.Flow
			f.Drop(core.DropName, 300)
			f.Drop(core.DropFragment, 2)
			f.Drop(core.DropName, 12)
			r.ObserveDrops(core.Drops{Client: core.Client{Inbound: "inbound.local"}, Path: []string{"outbound.direct"}, Dropped: f.TakeDropped()})
			r.ObserveDrops(core.Drops{Client: core.Client{Inbound: "inbound.local"}, Path: []string{"outbound.direct"}, Dropped: f.TakeDropped()})
		}
		for range 3 {
			ended()
		}
		time.Sleep(every + time.Second)
		synctest.Wait()
		r.Close()
		for _, want := range []string{
			`msg="datagrams dropped" datagrams=312 outbound=direct reason=name`,
			`msg="datagrams dropped" datagrams=2 inbound=local reason=fragment`,
			`msg="datagrams dropped" outbound=direct reason=name more=624 within=1m0s`,
			`msg="datagrams dropped" inbound=local reason=fragment more=4 within=1m0s`,
		} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("got %s, want %q in it", b, want)
			}
		}
		if n := strings.Count(b.String(), "\n"); n != 4 {
			t.Errorf("got %d lines, want 4:\n%s", n, b)
		}
	})
}
