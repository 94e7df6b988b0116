package budget

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// most is the bound of one source in these tests.
const most = 64

// site is an inbound whose strangers are numbered as they come.
type site struct {
	*Strangers
	members []*fakeMember
	full    atomic.Int64 // how often a bound of the inbound was reached
	ended   []int        // the numbers of those that were told to make room, and of those that were refused
}

// fakeMember is a connection that calls asked when it is to make room.
type fakeMember struct {
	Stranger
	asked func()
}

func (m *fakeMember) MakeRoom() { m.asked() }

func newSite(b *Budget, all int) *site {
	s := &site{}
	s.Strangers = b.NewStrangers(all, most, func() { s.full.Add(1) })
	return s
}

// come adds n clients from addr.
func (s *site) come(addr string, n int) {
	for range n {
		i := len(s.members)
		m := &fakeMember{asked: func() { s.ended = append(s.ended, i) }}
		s.members = append(s.members, m)
		if err := s.Add(&m.Stranger, m, netip.MustParseAddr(addr)); err != nil {
			s.ended = append(s.ended, i)
		}
	}
}

func (s *site) started(from, to int) {
	for _, m := range s.members[from:to] {
		s.Started(&m.Stranger)
	}
}

func (s *site) remove(i int) { s.Remove(&s.members[i].Stranger) }

func (s *site) check(t *testing.T, want ...int) {
	t.Helper()
	if !slices.Equal(s.ended, want) {
		t.Errorf("ended: got %v, want %v", s.ended, want)
	}
}

func (s *site) checkEmpty(t *testing.T) {
	t.Helper()
	if !s.empty() || len(s.sources) != 0 || s.budget.strangers.len() != 0 {
		t.Errorf("left: got %d of %d sources, %d in all, want none", s.all.len(), len(s.sources), s.budget.strangers.len())
	}
}

// TestVictims fills an inbound and has one more client come: who ends.
func TestVictims(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(s *site) // three clients have come, 2.5 s one after the other
		want    int           // 3 is the new one
	}{
		"all silent":                        {func(*site) {}, 0},
		"the first has begun":               {func(s *site) { s.started(0, 1) }, 1},
		"all have just begun":               {func(s *site) { s.started(0, 3) }, 3},
		"all have begun, the first is late": {func(s *site) { s.started(0, 3); time.Sleep(stalledFor) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(new(Budget), 3)
				for i := range 3 {
					s.come("192.0.2."+string(rune('1'+i)), 1)
					time.Sleep(2500 * time.Millisecond)
				}
				tc.prepare(s)
				s.come("192.0.2.9", 1)
				s.check(t, tc.want)
				if s.Len() != 3 || s.full.Load() != 1 {
					t.Errorf("got %d strangers, told %d times, want 3, once", s.Len(), s.full.Load())
				}
			})
		})
	}
}

// TestSource bounds the clients of one source, whose newest one is refused while the others
// are on their way.
func TestSource(t *testing.T) {
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
			synctest.Test(t, func(t *testing.T) {
				s := newSite(new(Budget), 10*most)
				s.come("198.51.100.1", 1) // older, and of another source
				s.come(tc.first, most)
				s.check(t)
				s.come(tc.again, 2)
				if !tc.same {
					s.check(t)
					return
				}
				s.check(t, most+1, most+2)
				time.Sleep(silentFor)
				s.come(tc.again, 2)
				s.check(t, most+1, most+2, 1, 2)
			})
		})
	}
}

// TestNoCollapse has clients of one gateway come faster than their bound allows: as many
// are served as the bound allows, rather than none because each drives out another.
func TestNoCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			trip    = 400 * time.Millisecond // from the accept to the request
			clients = 3000
			pause   = trip / most / 3 // three times as fast as can be served
		)
		s, served := newSite(new(Budget), 4096), new(atomic.Int64)
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				time.Sleep(time.Duration(i) * pause)
				m := &fakeMember{asked: func() {}}
				if s.Add(&m.Stranger, m, netip.MustParseAddr("192.0.2.1")) != nil {
					return
				}
				time.Sleep(trip)
				if !s.Evicted(&m.Stranger) {
					served.Add(1)
				}
				s.Remove(&m.Stranger)
			})
			synctest.Wait()
		}
		all.Wait()
		if n := served.Load(); n < clients/4 {
			t.Errorf("served %d of %d, want about a third", n, clients)
		}
		s.checkEmpty(t)
	})
}

// One client over both bounds makes room in both, by one client of its own source.
func TestBothBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(new(Budget), most+1)
		s.come("198.51.100.1", 1)
		time.Sleep(silentFor)
		s.come("192.0.2.1", most)
		time.Sleep(silentFor)
		s.come("192.0.2.1", 1)
		s.check(t, 1)
	})
}

func TestRemove(t *testing.T) {
	s := newSite(new(Budget), 10)
	s.come("192.0.2.1", 2)
	s.come("127.0.0.1", 1)
	for range 2 {
		s.remove(0)
		s.remove(2)
	}
	if n, by := s.all.len(), len(s.sources); n != 1 || by != 1 {
		t.Errorf("left: got %d of %d sources, want 1 of 1", n, by)
	}
	s.remove(1)
	s.check(t)
	s.checkEmpty(t)
}

// A connection comes back once, whether it was removed before or not, and not at all once
// the set is closed.
func TestAddAgain(t *testing.T) {
	s := newSite(new(Budget), 2)
	s.come("192.0.2.1", 2)
	begun := 0
	begin := func() { begun++ }
	s.remove(0)
	for _, i := range []int{0, 0, 1} {
		if err := s.AddAgain(&s.members[i].Stranger, begin); err != nil {
			t.Errorf("got %v, want nil", err)
		}
	}
	if n, by := s.all.len(), len(s.sources); n != 2 || by != 1 || begun != 3 {
		t.Errorf("got %d of %d sources, %d begun, want 2 of 1, 3", n, by, begun)
	}
	s.check(t)
	s.come("192.0.2.2", 1) // the oldest is the one that came back first
	s.check(t, 0)
	s.started(1, 3)
	if err := s.AddAgain(&s.members[0].Stranger, begin); !errors.Is(err, core.ErrCrowded) || begun != 3 {
		t.Errorf("without room: got %v, %d begun, want an ErrCrowded, 3", err, begun)
	}
	s.Close()
	if err := s.AddAgain(&s.members[1].Stranger, begin); !errors.Is(err, core.ErrShutdown) || begun != 3 {
		t.Errorf("after Close: got %v, %d begun, want an ErrShutdown, 3", err, begun)
	}
	for i := range s.members {
		s.remove(i)
	}
	s.checkEmpty(t)
}

func TestWait(t *testing.T) {
	s := newSite(new(Budget), 10)
	if err := s.Wait(t.Context()); err != nil {
		t.Errorf("wait for nobody: got %v, want nil", err)
	}
	s.come("192.0.2.1", 2)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Wait(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a context that has ended: got %v, want context.Canceled", err)
	}
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			if err := s.Wait(t.Context()); err != nil {
				t.Errorf("wait: got %v, want nil", err)
			}
		})
	}
	s.remove(0)
	s.remove(1)
	waiting.Wait()
	s.come("192.0.2.1", 1)
	if err := s.Wait(ended); err == nil {
		t.Error("wait for one that came later: got nil, want an error")
	}
}

// EvictAll tells all, those that were told before too: one that was changing its deadline
// has not heard it.
func TestEvictAll(t *testing.T) {
	s := newSite(new(Budget), 2)
	s.EvictAll()
	s.check(t)
	s.come("192.0.2.1", 3)
	s.check(t, 0)
	s.EvictAll()
	s.check(t, 0, 0, 1, 2)
	s.remove(1)
	s.remove(2)
	s.EvictAll()
	s.check(t, 0, 0, 1, 2, 0)
}

// Connections of a balancer are nobody's until their clients are known, and count as their
// clients' then.
func TestIdentify(t *testing.T) {
	s, begun := newSite(new(Budget), 20000), 0
	unknown := func(n int) {
		for range n {
			i := len(s.members)
			m := &fakeMember{asked: func() { s.ended = append(s.ended, i) }}
			s.members = append(s.members, m)
			if err := s.Add(&m.Stranger, m, netip.Addr{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	identify := func(from, to int, addr func(i int) netip.Addr) {
		for i := from; i < to; i++ {
			s.Identify(&s.members[i].Stranger, addr(i), func() { begun++ })
		}
	}
	unknown(10000)
	if len(s.sources) != 0 {
		t.Errorf("sources: got %d, want none yet", len(s.sources))
	}
	identify(0, 5000, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}) })
	identify(5000, 10000, func(int) netip.Addr { return netip.Addr{} })
	if got := len(s.sources); got != 5000 || begun != 10000 {
		t.Errorf("got %d sources, %d begun, want 5000, 10000", got, begun)
	}
	unknown(most + 1)
	last := 10000 + most
	crowd := func(int) netip.Addr { return netip.MustParseAddr("198.51.100.1") }
	identify(10000, last, crowd)
	s.check(t)
	begun = 0
	identify(last, last+1, crowd)
	s.check(t, last)
	identify(last, last+1, func(int) netip.Addr { return netip.MustParseAddr("198.51.100.2") })
	if begun != 0 {
		t.Error("one that was told to end was given more time")
	}
	for i := range s.members {
		s.remove(i)
	}
	s.checkEmpty(t)
}

// A connection that was just changing its deadline when it was told to end is told again,
// as long as others are evicted.
func TestToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := newSite(new(Budget), 2), 0
		deaf := &fakeMember{asked: func() { told++ }}
		if err := s.Add(&deaf.Stranger, deaf, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s.come("127.0.0.1", 1)
			time.Sleep(time.Second)
		}
		if told < 2 || !s.Evicted(&deaf.Stranger) {
			t.Errorf("told %d times, want more than once", told)
		}
	})
}
