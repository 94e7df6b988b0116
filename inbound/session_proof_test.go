package inbound

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// A download by QUIC acknowledges every second datagram in a few bytes: it is a
// conversation within its first second, and nothing of it is lost.
func TestSessionProvenByExchange(t *testing.T) {
	const size, ack = 1300, 90
	s, _ := newSession(t)
	for range 3 { // the handshake
		s.ask(t, "192.0.2.1:443", 1250, 0)
	}
	if got := s.answers(t, 4, size); got != 4 {
		t.Fatalf("answers to a handshake: got %d, want 4", got)
	}
	for round, window := range []int{10, 20, 40, 80, 160} {
		for range window / 2 {
			s.ask(t, "192.0.2.1:443", ack, time.Duration(round)*50*time.Millisecond)
		}
		if got := s.answers(t, window, size); got != window {
			t.Errorf("round %d: got %d answers, want %d", round, got, window)
		}
	}
	if s.table.proven.Len() != 1 {
		t.Error("the session is not among the proven")
	}
}

// Datagrams without an answer prove nothing, however many: their source may be
// forged.
func TestSessionNotProvenAlone(t *testing.T) {
	s, _ := newSession(t)
	for i := range 20 {
		s.ask(t, "192.0.2.1:443", 10, time.Duration(i)*time.Second)
	}
	if got, want := s.answers(t, 60, 1000), (10*200+8<<10)/1000; got != want {
		t.Errorf("answers: got %d, want %d", got, want)
	} else if got, want := s.flow.TakeDropped(), []core.Dropped{{Reason: core.DropUnproven, AtInbound: true, Count: 60 - want}}; !slices.Equal(got, want) {
		t.Errorf("dropped: got %v, want %v", got, want)
	}
}

// Where recordings are always refused, nothing is bounded.
func TestSessionUnbounded(t *testing.T) {
	s, _ := newSession(t)
	s.unbounded = true
	s.ask(t, "192.0.2.1:443", 10, 0)
	if got := s.answers(t, 60, 1000); got != 60 {
		t.Errorf("answers: got %d, want 60", got)
	}
}

// Bounds that were lowered hold with the next session.
func TestSessionsLowered(t *testing.T) {
	table := newSessions()
	table.bound(20, 20)
	ip := netip.MustParseAddr("192.0.2.1")
	for i := range 20 {
		table.add(newEntry(table, ip, uint16(1+i)), began, false)
	}
	table.bound(5, 3)
	if cut := table.add(newEntry(table, ip, 100), began, false); len(cut) != 18 || len(table.all) != 3 {
		t.Errorf("one client: got %d driven out and %d left, want 18 and 3", len(cut), len(table.all))
	}
	table.bound(2, 3)
	if cut := table.add(newEntry(table, netip.MustParseAddr("192.0.2.2"), 1), began, false); len(cut) != 2 || len(table.all) != 2 {
		t.Errorf("all clients: got %d driven out and %d left, want 2 and 2", len(cut), len(table.all))
	}
}
