package limit

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

func ip(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestClientsConnections(t *testing.T) {
	cs, o, now := newClients(), &Options{ConnectionsPerClient: 3, MaxClients: 10}, time.Now()
	enter := func(addr string, want bool) {
		t.Helper()
		_, err := cs.enter(netip.MustParseAddr(addr), o, now)
		if (err == nil) != want || err != nil && !errors.Is(err, core.ErrDenied) {
			t.Errorf("%s: got %v, want admitted %t", addr, err, want)
		}
	}
	for range 3 {
		enter("192.0.2.1", true)
	}
	enter("192.0.2.1", false)
	enter("192.0.2.2", true)
	enter("2001:db8::1", true)
	enter("2001:db8::2", true)
	enter("2001:db8::ffff:1", true)
	enter("2001:db8::3", false) // the same /64
	enter("2001:db8:0:1::3", true)
	cs.leave(netip.MustParseAddr("192.0.2.1"), o, now)
	enter("192.0.2.1", true)
	enter("192.0.2.1", false)
	for range 9 { // more than have come
		cs.leave(netip.MustParseAddr("192.0.2.2"), o, now)
	}
	for range 3 {
		enter("192.0.2.2", true)
	}
	enter("192.0.2.2", false)
}

func TestClientsRate(t *testing.T) {
	cs, now := newClients(), time.Now()
	o := &Options{NewPerSecondPerClient: 2, NewBurst: 5, MaxClients: 10}
	count := func() (n int) {
		for range 50 {
			if _, err := cs.enter(ip(1), o, now); err == nil {
				cs.leave(ip(1), o, now)
				n++
			}
		}
		return n
	}
	for _, tc := range []struct {
		after time.Duration
		want  int
	}{{0, 5}, {0, 0}, {time.Second, 2}, {500 * time.Millisecond, 1}, {time.Minute, 5}, {0, 0}} {
		now = now.Add(tc.after)
		if n := count(); n != tc.want {
			t.Errorf("after %s: got %d, want %d", tc.after, n, tc.want)
		}
	}
	o = &Options{NewPerSecondPerClient: 100, MaxClients: 10} // a reload
	if n := count(); n != 0 {
		t.Errorf("just after a reload: got %d, want none", n)
	}
	now = now.Add(10 * time.Second)
	if n := count(); n != 50 {
		t.Errorf("after a reload: got %d, want all 50", n)
	}
	if got := o.burst(0.01); got != 1 {
		t.Errorf("burst: got %d, want 1", got)
	}
}

// TestClientsBounded has more addresses come than are remembered, and all go.
func TestClientsBounded(t *testing.T) {
	cs, now := newClients(), time.Now()
	o := &Options{NewPerSecondPerClient: 1, NewBurst: 2, MaxClients: 100}
	for n := range 1000 {
		if _, err := cs.enter(ip(n), o, now); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			cs.leave(ip(n), o, now)
		}
	}
	if len(cs.busy) != 500 || cs.idle.Len() != 100 {
		t.Errorf("got %d busy clients and %d idle ones, want 500 and 100", len(cs.busy), cs.idle.Len())
	}
	if !cs.idle.Contains(core.SourceOf(ip(800))) || cs.idle.Contains(core.SourceOf(ip(798))) {
		t.Error("the one that was idle for the longest should be forgotten, and no other")
	}
	for n := range 1000 {
		if n%2 == 1 {
			cs.leave(ip(n), o, now)
		}
	}
	cs.sweep(now.Add(900 * time.Millisecond))
	if len(cs.busy) != 0 || cs.idle.Len() != 100 {
		t.Errorf("got %d busy clients and %d idle ones, want 0 and 100", len(cs.busy), cs.idle.Len())
	}
	cs.sweep(now.Add(2 * time.Second))
	if cs.idle.Len() != 0 {
		t.Errorf("got %d clients, want none", cs.idle.Len())
	}
	o.NewPerSecondPerClient = 0
	_, _ = cs.enter(ip(1), o, now)
	cs.leave(ip(1), o, now)
	if len(cs.busy) != 0 || cs.idle.Len() != 0 {
		t.Errorf("without a rate: got %d busy clients and %d idle ones, want none", len(cs.busy), cs.idle.Len())
	}
}
