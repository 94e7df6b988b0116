package inbound

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is a set of handshakes whose members are numbered as they come, and the
// numbers of those that were told to end.
type crowd struct {
	*handshakes
	members []*fakeHandshake
	ended   []int
}

// fakeHandshake calls asked when it is to make room.
type fakeHandshake struct {
	asked func()
	place place
}

func (h *fakeHandshake) makeRoom()  { h.asked() }
func (h *fakeHandshake) at() *place { return &h.place }

// join adds a member from client.
func join(s *handshakes, client netip.Addr, asked func()) *fakeHandshake {
	m := &fakeHandshake{asked: asked}
	s.add(m, client)
	return m
}

func newCrowd(most int) *crowd { return &crowd{handshakes: newHandshakes(most)} }

// come adds n clients from addr.
func (c *crowd) come(addr string, n int) {
	for range n {
		i := len(c.members)
		c.members = append(c.members, join(c.handshakes, netip.MustParseAddr(addr), func() { c.ended = append(c.ended, i) }))
	}
}

func (c *crowd) check(t *testing.T, want ...int) {
	t.Helper()
	if !slices.Equal(c.ended, want) {
		t.Errorf("ended: got %v, want %v", c.ended, want)
	}
}

func TestHandshakesOldestOfAll(t *testing.T) {
	c := newCrowd(3)
	c.come("192.0.2.1", 1)
	c.come("127.0.0.1", 1)
	c.come("2001:db8::1", 1)
	c.check(t)
	c.come("192.0.2.2", 1)
	c.check(t, 0)
	c.come("192.0.2.3", 1) // 0 has not left yet, and is not told again
	c.check(t, 0, 1)
	c.remove(c.members[0])
	c.remove(c.members[1])
	c.remove(c.members[2])
	c.come("192.0.2.4", 1)
	c.check(t, 0, 1)
	c.come("192.0.2.5", 1)
	c.check(t, 0, 1, 3)
}

func TestHandshakesOldestOfSource(t *testing.T) {
	for _, tc := range []struct {
		name         string
		first, again string
		same         bool
	}{
		{"one IPv4 address", "192.0.2.1", "192.0.2.1", true},
		{"two IPv4 addresses", "192.0.2.1", "192.0.2.2", false},
		{"one IPv6 address", "2001:db8::1", "2001:db8::1", true},
		{"one /64", "2001:db8::1", "2001:db8::ffff:0:0:2", true},
		{"two /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"loopback", "127.0.0.1", "127.0.0.1", false},
		{"IPv6 loopback", "::1", "::1", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCrowd(10 * maxPerSource)
			c.come("198.51.100.1", 1) // older, and of another source
			c.come(tc.first, maxPerSource)
			c.check(t)
			c.come(tc.again, 2)
			if tc.same {
				c.check(t, 1, 2)
			} else {
				c.check(t)
			}
		})
	}
}

// One client over both bounds makes room in both, by one client of its own
// source: it is told first, and that frees a place over all too.
func TestHandshakesBothBounds(t *testing.T) {
	c := newCrowd(maxPerSource + 1)
	c.come("198.51.100.1", 1)
	c.come("192.0.2.1", maxPerSource+1)
	c.check(t, 1)
}

func TestHandshakesRemove(t *testing.T) {
	c := newCrowd(10)
	c.come("192.0.2.1", 2)
	c.come("127.0.0.1", 1)
	for range 2 {
		c.remove(c.members[0])
		c.remove(c.members[2])
	}
	if n, by := c.all.Len(), len(c.bySource); n != 1 || by != 1 {
		t.Errorf("left: got %d of %d sources, want 1 of 1", n, by)
	}
	c.remove(c.members[1])
	if n, by := c.all.Len(), len(c.bySource); n != 0 || by != 0 {
		t.Errorf("left: got %d of %d sources, want none", n, by)
	}
	c.check(t)
}

// A connection comes back once, whether it was removed before or not, and not at all
// once the set is closed.
func TestHandshakesAgain(t *testing.T) {
	c := newCrowd(2)
	c.come("192.0.2.1", 2)
	begun := 0
	begin := func() { begun++ }
	c.remove(c.members[0])
	for _, m := range []*fakeHandshake{c.members[0], c.members[0], c.members[1]} {
		if !c.addAgain(m, begin) {
			t.Error("got false, want true")
		}
	}
	if n, by := c.all.Len(), len(c.bySource); n != 2 || by != 1 || begun != 3 {
		t.Errorf("got %d of %d sources, %d begun, want 2 of 1, 3", n, by, begun)
	}
	c.check(t)
	c.come("192.0.2.2", 1) // the oldest is the one that came back first
	c.check(t, 0)
	c.close()
	if c.addAgain(c.members[1], begin) || begun != 3 {
		t.Errorf("after close: got it back, or begun %d times", begun)
	}
	for _, m := range c.members {
		c.remove(m)
	}
	if !c.empty() || len(c.bySource) != 0 {
		t.Errorf("left: got %d of %d sources, want none", c.all.Len(), len(c.bySource))
	}
}

func TestHandshakesWait(t *testing.T) {
	c := newCrowd(10)
	if err := c.wait(t.Context()); err != nil {
		t.Errorf("wait for nobody: got %v, want nil", err)
	}
	c.come("192.0.2.1", 2)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := c.wait(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a context that has ended: got %v, want context.Canceled", err)
	}
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			if err := c.wait(t.Context()); err != nil {
				t.Errorf("wait: got %v, want nil", err)
			}
		})
	}
	c.remove(c.members[0])
	c.remove(c.members[1])
	waiting.Wait()
	c.come("192.0.2.1", 1)
	if err := c.wait(ended); err == nil {
		t.Error("wait for one that came later: got nil, want an error")
	}
}

// endAll tells all, those that were told before too: one that was changing its
// deadline has not heard it.
func TestHandshakesEndAll(t *testing.T) {
	c := newCrowd(2)
	c.evictAll()
	c.check(t)
	c.come("192.0.2.1", 3)
	c.check(t, 0)
	c.evictAll()
	c.check(t, 0, 0, 1, 2)
	c.remove(c.members[1])
	c.remove(c.members[2])
	c.evictAll()
	c.check(t, 0, 0, 1, 2, 0)
}

// Connections of a balancer are nobody's until their clients are known, and count
// as their clients' then.
func TestHandshakesIdentify(t *testing.T) {
	c := newCrowd(20000)
	begun := 0
	identify := func(from, to int, addr func(i int) netip.Addr) {
		for i := from; i < to; i++ {
			c.identify(c.members[i], addr(i), func() { begun++ })
		}
	}
	for range 10000 {
		c.members = append(c.members, join(c.handshakes, netip.Addr{}, func() { t.Error("one that is unknown was told to end") }))
	}
	if len(c.bySource) != 0 {
		t.Errorf("sources: got %d, want none yet", len(c.bySource))
	}
	identify(0, 5000, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}) })
	identify(5000, 10000, func(int) netip.Addr { return netip.Addr{} })
	if got := len(c.bySource); got != 5000 || begun != 10000 {
		t.Errorf("got %d sources, %d begun, want 5000, 10000", got, begun)
	}
	first := len(c.members)
	for i := range maxPerSource + 1 {
		c.members = append(c.members, join(c.handshakes, netip.Addr{}, func() { c.ended = append(c.ended, i) }))
	}
	identify(first, first+maxPerSource, func(int) netip.Addr { return netip.MustParseAddr("198.51.100.1") })
	c.check(t)
	identify(first+maxPerSource, first+maxPerSource+1, func(int) netip.Addr { return netip.MustParseAddr("198.51.100.1") })
	c.check(t, 0)
	begun = 0
	identify(first, first+1, func(int) netip.Addr { return netip.MustParseAddr("198.51.100.2") })
	if begun != 0 {
		t.Error("one that was told to end was given more time")
	}
	for _, hs := range c.members {
		c.remove(hs)
	}
	if !c.empty() || len(c.bySource) != 0 {
		t.Errorf("left: got %d of %d sources, want none", c.all.Len(), len(c.bySource))
	}
}

// A handshake that was just changing its deadline when it was told to end is told
// again, as long as others are driven out.
func TestHandshakesToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, told := newHandshakes(2), 0
		deaf := join(h, netip.Addr{}, func() { told++ })
		for range 3 {
			join(h, netip.Addr{}, func() {})
			time.Sleep(time.Second)
		}
		if told < 2 || !h.evicted(deaf) {
			t.Errorf("told %d times, want more than once", told)
		}
	})
}
