package budget

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// full counts what a budget was out of.
type full map[Resource]int

func (f full) count(s Shortage) { f[s.Of]++ }

// TestStrangersShare fills four inbounds with strangers: they get half of the descriptors,
// and a client of the fifth is let in at the expense of one of them.
func TestStrangersShare(t *testing.T) {
	b, out := new(Budget), full{}
	b.Set(Limits{Descriptors: 256}, out.count)
	var crowded []*site
	for range 4 {
		s := newSite(b, 4096)
		s.come("127.0.0.1", 100)
		crowded = append(crowded, s)
	}
	if n := b.strangers.len(); n != 112 {
		t.Errorf("strangers: got %d, want half of 224", n)
	}
	fifth := newSite(b, 4096)
	fifth.come("192.0.2.1", 1)
	fifth.check(t)
	if out[Descriptors] != 400+1-112 || len(out) != 1 {
		t.Errorf("told: got %v, want one for each stranger that was evicted", out)
	}
	left := 0
	for _, s := range crowded {
		left += s.Len()
	}
	if left != 111 {
		t.Errorf("left: got %d, want 111", left)
	}
}

// TestServedFirst has served connections take the room of strangers, up to the last
// descriptor, and no more.
func TestServedFirst(t *testing.T) {
	b, out := new(Budget), full{}
	b.Set(Limits{Descriptors: 256}, out.count)
	s := newSite(b, 4096)
	s.come("127.0.0.1", 112)
	served := 0
	for ; b.Serve(core.TCP); served++ {
		b.Settle()
		if all := 2*b.streams + b.strangers.len(); all > 224 {
			t.Fatalf("got %d descriptors in use, want at most 224", all)
		}
	}
	if served != 112 || s.Len() != 0 {
		t.Errorf("got %d streams and %d strangers, want 112 and none", served, s.Len())
	}
	if !b.Crowded(core.TCP) || !b.Crowded(core.UDP) || b.Serve(core.UDP) {
		t.Error("a full budget has room")
	}
	s.come("192.0.2.1", 1)
	if s.Len() != 0 {
		t.Error("a full budget let a stranger in")
	}
	b.Release(core.TCP)
	s.come("192.0.2.1", 1)
	if s.Len() != 1 || b.Crowded(core.TCP) {
		t.Error("a descriptor that was given back is not used")
	}
	if streams, associations := b.Served(); streams != 111 || associations != 0 {
		t.Errorf("served: got %d, %d, want 111, 0", streams, associations)
	}
}

// TestMemory bounds connections by memory.
func TestMemory(t *testing.T) {
	for _, tc := range []struct {
		memory                      int64
		strangers, streams, packets int
	}{
		{48 << 20, 480, 480, 1920},
		{64 << 20, 768, 768, 3072},
		{512 << 20, 8832, 8832, 35328},
		{1, 96, 96, 384}, // the least
	} {
		for over, want := range map[core.Network]int{core.TCP: tc.streams, core.UDP: tc.packets} {
			b, out := new(Budget), full{}
			b.Set(Limits{Memory: tc.memory}, out.count)
			s := newSite(b, 1<<20)
			s.come("127.0.0.1", tc.strangers+10)
			if s.Len() != tc.strangers || out[Memory] != 10 {
				t.Errorf("%d bytes: got %d strangers, told %v, want %d", tc.memory, s.Len(), out, tc.strangers)
			}
			served := 0
			for b.Serve(over) {
				b.Settle()
				served++
			}
			if served != want || s.Len() != 0 {
				t.Errorf("%d bytes: got %d of %s and %d strangers, want %d and none", tc.memory, served, over, s.Len(), want)
			}
		}
	}
}

// TestAddBack has connections that were served end as strangers: the silent ones make room
// first, whose inbound has no say.
func TestAddBack(t *testing.T) {
	b := new(Budget)
	b.Set(Limits{Descriptors: 64}, nil)
	s, held := newSite(b, 100), newSite(b, 1)
	s.come("127.0.0.1", 24)
	s.started(1, 24)
	for i := range 3 { // the bound of an inbound is not for these
		m := &fakeMember{asked: func() { held.ended = append(held.ended, i) }}
		held.AddBack(&m.Stranger, m)
		held.members = append(held.members, m)
	}
	if n := b.strangers.len(); n != 24 || held.Len() != 3 {
		t.Errorf("strangers: got %d, %d of them back, want 24, 3", n, held.Len())
	}
	held.check(t)
	s.check(t, 0, 1, 2)
}

// TestDescriptors has strangers with two descriptors each.
func TestDescriptors(t *testing.T) {
	b := new(Budget)
	b.Set(Limits{Descriptors: 256}, nil)
	one, two := newSite(b, 4096), newSite(b, 4096)
	two.UseDescriptors(2)
	two.come("127.0.0.1", 100)
	if two.Len() != 56 || b.files != 112 {
		t.Errorf("got %d strangers, %d descriptors, want 56, 112", two.Len(), b.files)
	}
	one.come("127.0.0.1", 1)
	if two.Len() != 55 || one.Len() != 1 || b.files != 111 {
		t.Errorf("got %d and %d strangers, %d descriptors, want 55, 1, 111", two.Len(), one.Len(), b.files)
	}
	for b.Serve(core.TCP) {
		b.Settle()
		if all := 2*b.streams + b.files; all > 224 {
			t.Fatalf("got %d descriptors in use, want at most 224", all)
		}
	}
	if b.files != 0 || b.strangers.len() != 0 {
		t.Errorf("got %d strangers, %d descriptors, want none", b.strangers.len(), b.files)
	}
}

// TestLowered lowers the limits: strangers that are too many end at once.
func TestLowered(t *testing.T) {
	b := new(Budget)
	b.Set(Limits{Descriptors: 256}, nil)
	s := newSite(b, 4096)
	s.come("127.0.0.1", 112)
	b.Set(Limits{Descriptors: 64}, nil)
	if s.Len() != 24 {
		t.Errorf("got %d strangers, want 24", s.Len())
	}
}

// TestNoLimits has a budget without limits, and none at all.
func TestNoLimits(t *testing.T) {
	for _, b := range []*Budget{nil, new(Budget)} {
		for range 10000 {
			if !b.Serve(core.TCP) {
				t.Fatal("refused, want no limit")
			}
		}
		b.Release(core.TCP)
	}
	b := new(Budget)
	if n := b.Sessions(4096); n != 4096 {
		t.Errorf("sessions: got %d, want 4096", n)
	}
	b.Set(Limits{Descriptors: 256}, nil)
	if n := b.Sessions(4096); n != 37 {
		t.Errorf("sessions: got %d, want 37", n)
	}
	if n := (Limits{}).BufferBytes(); n != 0 {
		t.Errorf("buffers: got %d bytes, want no limit", n)
	}
}
