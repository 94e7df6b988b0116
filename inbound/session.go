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
	// dnsTimeout is the idle timeout of a session that has sent only DNS queries, all
	// of which were answered.
	dnsTimeout = 17 * time.Second
	// maxIdle is the idle timeout of a session in a pipeline without one.
	maxIdle = 5 * time.Minute
	dnsPort = 53

	// An attacker can replay a recorded datagram from a forged source address, whose
	// owner then receives the answers. So an unproven client gets at most
	// maxAmplification bytes for each byte that it sent, and freeAnswer bytes more.
	maxAmplification = 10
	freeAnswer       = 8 << 10
	// provenBy is the number of datagrams after the first answer that prove a client.
	// One datagram at least a second after the last use does so too.
	provenBy = 4
)

// session is one UDP client of an inbound. It is the PendingPackets of the client's
// request and the PacketConn of the client's association.
type session struct {
	table  *sessions
	key    sessionKey
	source netip.Prefix // of the client, for the bound on sessions
	flow   *core.Flow
	at     places

	delivering sync.Mutex // held during a call of sink: each of the inbound's sockets delivers; before mu

	mu              sync.Mutex
	sink            core.PacketSink  // guarded by mu, as all that follows
	association     core.Association // nil until the session is served
	closed          bool
	socket          *netio.UDPSocket // that the client used last
	peer            netip.AddrPort   // the client's last address
	local           netip.Addr       // this machine's address that the client used last
	used            time.Time
	unbounded       bool // no amplification budget: the cipher refuses every replay
	in, out         int  // bytes on the wire before the client is proven
	replied         int  // datagrams of the client after the first answer
	proven          bool // the client has answered, so its address is not forged
	other           bool // the client has sent to other ports than DNS
	asked, answered int  // datagrams of the client, and answers
}

var (
	_ core.PendingPackets    = (*session)(nil)
	_ core.PacketConn        = (*session)(nil)
	_ pipeline.IdleTimeouter = (*session)(nil)
)

// Accept returns the session: the protocol has no reply.
func (s *session) Accept() (core.PacketConn, error) { return s, nil }

// Reject closes the session.
func (s *session) Reject(error) { s.Close() }

// Receive passes the client's datagrams to sink from now on.
func (s *session) Receive(sink core.PacketSink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = sink
}

// received records an authenticated datagram of the client, which a socket received.
// Answers are sent to its source address by that socket from now on.
func (s *session) received(by *netio.UDPSocket, d *netio.Datagram, target core.Addr, now time.Time) {
	s.mu.Lock()
	s.socket, s.peer, s.local = by, d.Peer, d.Local
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
		s.table.touch(s, now, proven)
	}
}

// usedLast reports whether a socket received the client's last datagram.
func (s *session) usedLast(socket *netio.UDPSocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket == socket
}

// setAssociation sets the association of the session.
func (s *session) setAssociation(a core.Association) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.association = a
}

// admits reports whether the session accepts a datagram from an address: the client's
// current address, or another address that the gates admit.
func (s *session) admits(from netip.AddrPort) bool {
	s.mu.Lock()
	a, same := s.association, s.peer.Addr() == from.Addr()
	s.mu.Unlock()
	return same || a != nil && a.Move(from) == nil
}

// deliver passes datagrams of the client to the sink.
func (s *session) deliver(ps []core.Packet) {
	s.delivering.Lock()
	defer s.delivering.Unlock()
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
	count := len(ps)
	if !s.proven && !s.unbounded {
		ps = s.affordable(ps)
	}
	socket, peer, local := s.socket, s.peer, s.local
	s.mu.Unlock()
	s.flow.DropAnswers(core.DropUnproven, count-len(ps))
	if len(ps) == 0 {
		return 0, nil
	}
	if own, ok := s.key.session.(Answerer); ok {
		return own.Answer(s.flow, peer, ps)
	}
	return socket.SendSealed(s.flow, peer, local, s.key.session, ps)
}

// affordable filters ps to the amplification budget of an unproven client. mu is held.
func (s *session) affordable(ps []core.Packet) []core.Packet {
	kept := ps[:0]
	for _, p := range ps {
		size := len(p.Data) + s.key.session.Overhead(p.Addr)
		if size <= core.MaxDatagram && s.out+size > maxAmplification*s.in+freeAnswer {
			continue
		}
		if size <= core.MaxDatagram { // else the socket drops it
			s.out += size
		}
		kept = append(kept, p)
	}
	return kept
}

// IdleTimeout returns dnsTimeout, or most if that is shorter, for a client that has sent
// only DNS queries, all of which were answered. For others it returns most, or maxIdle if
// that is pipeline.Never: a session has no other end.
func (s *session) IdleTimeout(most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.other && s.answered >= s.asked && s.asked > 0 {
		return min(most, dnsTimeout)
	}
	if most == pipeline.Never {
		return maxIdle
	}
	return most
}

// Close removes the session from the table and closes the cipher's session. It may be
// called again.
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
