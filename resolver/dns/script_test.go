package dns

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// scripted is a DNS server that says what a test wants, on one port for UDP and TCP.
type scripted struct {
	addr string
	udp  func(q query, back func(msg []byte)) // nil for silence
	tcp  func(q query, back func(msg []byte))

	mu        sync.Mutex
	datagrams int // questions by UDP; guarded by mu, as what follows
	messages  int // by TCP
	conns     int
}

// newScripted starts a server that ends with the test.
func newScripted(t testing.TB, udp, tcp func(q query, back func(msg []byte))) *scripted {
	t.Helper()
	s := &scripted{udp: udp, tcp: tcp}
	var l net.Listener
	var u *net.UDPConn
	for range 100 { // until a port is free for both
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if u, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(l.Addr().(*net.TCPAddr).AddrPort())); err == nil {
			break
		}
		l.Close()
	}
	s.addr = l.Addr().String()
	var running sync.WaitGroup
	running.Go(func() { s.serveUDP(u) })
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serveTCP(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); u.Close(); running.Wait() })
	return s
}

func (s *scripted) serveUDP(u *net.UDPConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := u.ReadFromUDP(buf)
		if err != nil {
			return
		}
		s.add(1, 0, 0)
		if q, ok := received(buf[:n]); ok && s.udp != nil {
			s.udp(q, func(msg []byte) { _, _ = u.WriteToUDP(msg, from) })
		}
	}
}

func (s *scripted) serveTCP(conn net.Conn) {
	defer conn.Close()
	s.add(0, 0, 1)
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, msg); err != nil {
			return
		}
		s.add(0, 1, 0)
		if q, ok := received(msg); ok && s.tcp != nil {
			s.tcp(q, func(msg []byte) {
				if msg == nil {
					conn.Close()
					return
				}
				_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
			})
		}
	}
}

func (s *scripted) add(datagrams, messages, conns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.datagrams, s.messages, s.conns = s.datagrams+datagrams, s.messages+messages, s.conns+conns
}

// counts returns how many questions came by UDP and by TCP, and connections.
func (s *scripted) counts() (datagrams, messages, conns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.datagrams, s.messages, s.conns
}

// received reads a query.
func received(wire []byte) (query, bool) {
	var m dns.Msg
	if m.Unpack(wire) != nil || len(m.Question) != 1 {
		return query{}, false
	}
	q := query{question: question{m.Question[0].Name, m.Question[0].Qtype}, wire: append([]byte(nil), wire...)}
	q.section = q.wire[headerSize : headerSize+len(m.Question[0].Name)+1+4]
	return q, true
}

// edns reports whether a query has an OPT record.
func (q query) edns() bool {
	var m dns.Msg
	return m.Unpack(q.wire) == nil && m.IsEdns0() != nil
}
