package inbound

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

const (
	// dnsTimeout is how long a session lives on after all its questions to DNS
	// servers were answered, as long as it sends nothing else.
	dnsTimeout = 17 * time.Second
	dnsPort    = 53

	// A recorded datagram can be sent again from a forged address, whose owner
	// then gets the answers. Until the client has shown that it is a conversation
	// it gets at most this many bytes for one of its own, and some for free.
	maxAmplification = 10
	freeAnswer       = 8 << 10
	// provenBy is how many datagrams after the first answer show that, or one that
	// comes a second later.
	provenBy = 4
)

// session is one UDP client of an inbound: a client that waits for its
// association, and then its datagrams.
type session struct {
	table  *sessions
	socket *netio.UDPSocket
	key    sessionKey
	source netip.Prefix // the client's, for the bound on sessions
	flow   *core.Flow
	at     places

	mu              sync.Mutex
	sink            core.PacketSink  // guarded by mu, as all that follows
	association     core.Association // nil until it is served
	closed          bool
	peer            netip.AddrPort // where the client was last
	local           netip.Addr     // our address that it used
	used            time.Time
	unbounded       bool // answers are not bounded: a recording is always refused
	in, out         int  // bytes of the wire until it is proven
	replied         int  // datagrams that came after the first answer
	proven          bool
	other           bool // it has sent to other ports than that of DNS
	asked, answered int  // datagrams
}

var (
	_ core.PendingPackets    = (*session)(nil)
	_ core.PacketConn        = (*session)(nil)
	_ pipeline.IdleTimeouter = (*session)(nil)
)

// Accept returns the session itself: the client awaits no reply.
func (s *session) Accept() (core.PacketConn, error) { return s, nil }

// Reject forgets the client.
func (s *session) Reject(error) { s.Close() }

// Receive makes sink take what the client sends.
func (s *session) Receive(sink core.PacketSink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = sink
}

// came notes an authenticated datagram of the client. All later ones are
// answered to where it came from.
func (s *session) came(d *netio.Datagram, target core.Addr, now time.Time) {
	s.mu.Lock()
	s.peer, s.local = d.Peer, d.Local
	s.asked++
	s.other = s.other || target.Port() != dnsPort
	touch := now.Sub(s.used) >= time.Second
	if !s.proven {
		s.in += len(d.Data)
		if s.answered > 0 {
			s.replied++
			s.proven = touch || s.replied >= provenBy
		}
		touch = touch || s.proven
	}
	proven := s.proven
	if touch {
		s.used = now
	}
	s.mu.Unlock()
	if touch {
		s.table.use(s, now, proven)
	}
}

// serve notes the association that the session has become.
func (s *session) serve(a core.Association) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.association = a
}

// follow reports whether a datagram may come from an address: the client's, or
// another one that the gates admit.
func (s *session) follow(from netip.AddrPort) bool {
	s.mu.Lock()
	a, same := s.association, s.peer.Addr() == from.Addr()
	s.mu.Unlock()
	return same || a != nil && a.Move(from) == nil
}

// give passes datagrams of the client on.
func (s *session) give(ps []core.Packet) {
	s.mu.Lock()
	sink := s.sink
	if s.closed {
		sink = nil
	}
	s.mu.Unlock()
	if sink != nil {
		sink(ps)
	}
}

// WritePackets sends answers to the client.
func (s *session) WritePackets(ps []core.Packet) (int, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, net.ErrClosed
	}
	s.answered += len(ps)
	if !s.proven && !s.unbounded {
		ps = s.affordable(ps)
	}
	peer, local := s.peer, s.local
	s.mu.Unlock()
	if len(ps) == 0 {
		return 0, nil
	}
	return s.socket.SendSealed(peer, local, s.key.session, ps)
}

// affordable returns those of ps that a client may get that has not shown to be a
// conversation. mu is held.
func (s *session) affordable(ps []core.Packet) []core.Packet {
	kept := ps[:0]
	for _, p := range ps {
		size := len(p.Data) + s.key.session.Overhead(p.Addr)
		if size > core.MaxDatagram || s.out+size > maxAmplification*s.in+freeAnswer {
			continue
		}
		s.out += size
		kept = append(kept, p)
	}
	return kept
}

// IdleTimeout is short for a client that only asked DNS servers and was
// answered.
func (s *session) IdleTimeout(most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.other && s.answered >= s.asked && s.asked > 0 {
		return min(most, dnsTimeout)
	}
	return most
}

// Close forgets the client.
func (s *session) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed, s.sink = true, nil
	s.mu.Unlock()
	s.table.remove(s)
	if first {
		s.key.session.Close()
	}
	return nil
}
