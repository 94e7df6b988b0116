package inbound

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// began is when the sessions of these tests begin.
var began = time.Unix(1_700_000_000, 0)

// newSession returns a session of a table, and its client.
func newSession(t testing.TB) (*session, *net.UDPConn) {
	t.Helper()
	socket, err := netio.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	client := listenPlain(t)
	table := newSessions()
	table.bound(10, 10)
	s := &session{table: table, socket: socket, key: sessionKey{session: &fakeSession{id: 1}}, flow: new(core.Flow), peer: addrOf(client), used: began}
	table.add(s, began, false)
	return s, client
}

// ask has a datagram of size bytes come from a client.
func (s *session) ask(t testing.TB, to string, size int, after time.Duration) {
	t.Helper()
	s.received(s.socket, &netio.Datagram{Peer: s.peer, Data: make([]byte, size)}, target(t, to), began.Add(after))
}

// answers writes n answers of size bytes on the wire each, and returns how many were
// sent.
func (s *session) answers(t testing.TB, n, size int) (sent int) {
	t.Helper()
	from := target(t, "192.0.2.1:53")
	for range n {
		k, err := s.WritePackets([]core.Packet{{Addr: from, Data: make([]byte, size-s.key.session.Overhead(from))}})
		if err != nil {
			t.Fatal(err)
		}
		sent += k
	}
	return sent
}

// A client that has not shown to be a conversation gets ten bytes for each of its
// own and 8 KiB, and one that has gets all.
func TestSessionAmplification(t *testing.T) {
	const size, many = 1000, 60
	affordable := func(in int) int { return (10*in + 8<<10) / size }
	s, _ := newSession(t)
	s.ask(t, "192.0.2.1:53", 100, 0)
	if got, want := s.answers(t, many, size), affordable(100); got != want {
		t.Errorf("answers to 100 bytes: got %d, want %d", got, want)
	}
	s.ask(t, "192.0.2.1:53", 500, time.Second-1) // too early to prove anything
	if got, want := s.answers(t, many, size), affordable(600)-affordable(100); got != want {
		t.Errorf("answers to 500 bytes more: got %d, want %d", got, want)
	}
	s.ask(t, "192.0.2.1:53", 1, time.Second)
	if got := s.answers(t, many, size); got != many {
		t.Errorf("answers to a conversation: got %d, want %d", got, many)
	}
	if table := s.table; table.proven.Len() != 1 || table.young.Len() != 0 {
		t.Errorf("table: got %d proven, %d young, want 1, 0", table.proven.Len(), table.young.Len())
	}
}

// The bound cuts a burst where it is reached.
func TestSessionAmplificationInBurst(t *testing.T) {
	s, client := newSession(t)
	s.ask(t, "192.0.2.1:53", 0, 0)
	from := target(t, "192.0.2.1:53")
	var ps []core.Packet
	for i := range 5 {
		ps = append(ps, core.Packet{Addr: from, Data: append([]byte{byte(i)}, make([]byte, 2500)...)})
	}
	if n, err := s.WritePackets(ps); n != 3 || err != nil {
		t.Errorf("got %d, %v, want 3 of 5, nil", n, err)
	}
	for i := range 3 {
		want, _ := s.key.session.AppendPacket(nil, ps[i].Data, from)
		hears(t, client, want)
	}
}

// Datagrams alone, of which none was answered, prove nothing: a recording can be
// sent at any pace.
func TestSessionProven(t *testing.T) {
	s, _ := newSession(t)
	for i := range 5 {
		s.ask(t, "192.0.2.1:443", 10, time.Duration(i)*2*time.Second)
	}
	if s.proven {
		t.Error("unanswered: got proven")
	}
	s.answers(t, 1, 100)
	if s.proven {
		t.Error("answered, and silent since: got proven")
	}
	s.ask(t, "192.0.2.1:443", 10, 8*time.Second+time.Second-1)
	if s.proven {
		t.Error("less than a second after it was noted last: got proven")
	}
	s.ask(t, "192.0.2.1:443", 10, 9*time.Second)
	if !s.proven {
		t.Error("answered, and heard of again: got not proven")
	}
}

func TestSessionIdleTimeout(t *testing.T) {
	const most = 5 * time.Minute
	dns, other := "192.0.2.1:53", "192.0.2.1:443"
	for _, tc := range []struct {
		name     string
		asked    []string
		answered int
		most     time.Duration
		want     time.Duration
	}{
		{"nothing yet", nil, 0, most, most},
		{"no answer", []string{dns}, 0, most, most},
		{"one answer", []string{dns}, 1, most, 17 * time.Second},
		{"one of two", []string{dns, "dns.test:53"}, 1, most, most},
		{"two of two", []string{dns, "dns.test:53"}, 2, most, 17 * time.Second},
		{"more than that", []string{dns}, 5, most, 17 * time.Second},
		{"another port", []string{other}, 1, most, most},
		{"another port too", []string{dns, other}, 2, most, most},
		{"another port first", []string{other, dns, dns}, 5, most, most},
		{"less already", []string{dns}, 1, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := newSession(t)
			for _, to := range tc.asked {
				s.ask(t, to, 10, 0)
			}
			s.answers(t, tc.answered, 100)
			if got := s.IdleTimeout(tc.most); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Answers go to where the client was heard of last.
func TestSessionFollows(t *testing.T) {
	s, first := newSession(t)
	second := listenPlain(t)
	to := target(t, "192.0.2.1:443")
	for _, client := range []*net.UDPConn{first, second, first} {
		s.received(s.socket, &netio.Datagram{Peer: addrOf(client), Data: make([]byte, 10)}, to, began)
		if n, err := s.WritePackets([]core.Packet{{Addr: to, Data: []byte("answer")}}); n != 1 || err != nil {
			t.Fatalf("write: got %d, %v, want 1, nil", n, err)
		}
		want, _ := s.key.session.AppendPacket(nil, []byte("answer"), to)
		if from := hears(t, client, want); from != s.socket.Addr() {
			t.Errorf("the answer came from %v, want %v", from, s.socket.Addr())
		}
	}
}

// A session without a sink drops what comes, and one that is closed does and sends
// nothing.
func TestSessionClose(t *testing.T) {
	s, _ := newSession(t)
	ps := []core.Packet{{Addr: target(t, "192.0.2.1:443"), Data: []byte("x")}}
	s.deliver(ps)
	came := 0
	if conn, err := s.Accept(); conn != core.PacketConn(s) || err != nil {
		t.Errorf("accept: got %v, %v, want the session itself", conn, err)
	}
	s.Receive(func(ps []core.Packet) { came += len(ps) })
	s.deliver(ps)
	if came != 1 {
		t.Errorf("came: got %d, want 1", came)
	}
	cipher := s.key.session.(*fakeSession)
	for range 2 {
		s.Reject(core.ErrDenied) // does as Close
		s.Close()
	}
	s.Receive(func([]core.Packet) { came++ }) // too late
	s.deliver(ps)
	if came != 1 || cipher.closed.Load() != 1 || s.table.find(s.key) != nil {
		t.Errorf("after close: got %d came, %d ends told, session %v, want 1, 1, none", came, cipher.closed.Load(), s.table.find(s.key))
	}
	if n, err := s.WritePackets(ps); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: got %d, %v, want 0, net.ErrClosed", n, err)
	}
}
