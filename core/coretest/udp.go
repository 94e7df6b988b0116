package coretest

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// ListenUDP returns a socket that is closed at the end of the test.
func ListenUDP(t testing.TB, at string) *netio.UDPSocket {
	t.Helper()
	s, err := netio.ListenUDP(netip.MustParseAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// SendUDP sends datagrams and checks that the kernel accepts all of them.
func SendUDP(t testing.TB, s *netio.UDPSocket, ds ...netio.Datagram) {
	t.Helper()
	if n, err := s.Send(ds); n != len(ds) || err != nil {
		t.Errorf("send: got %d, %v, want %d, nil", n, err, len(ds))
	}
}

// Gathered are copies of the datagrams that a socket has received.
type Gathered struct {
	Got    chan netio.Datagram
	Bursts chan int // sizes
}

// Gather makes a socket receive into a Gathered.
func Gather(t testing.TB, s *netio.UDPSocket) *Gathered {
	t.Helper()
	in := &Gathered{Got: make(chan netio.Datagram, 1024), Bursts: make(chan int, 1024)}
	if err := s.Receive(in.Take, func(err error) { t.Errorf("the sink panicked: %v", err) }); err != nil {
		t.Fatal(err)
	}
	return in
}

// Take copies a burst.
func (in *Gathered) Take(ds []netio.Datagram) {
	in.Bursts <- len(ds)
	for _, d := range ds {
		d.Data = slices.Clone(d.Data)
		in.Got <- d
	}
}

// Discard is a PacketConn that accepts all datagrams and drops them.
type Discard struct {
	// Sink is the argument of Receive.
	Sink core.PacketSink
}

func (*Discard) WritePackets(ps []core.Packet) (int, error) { return len(ps), nil }
func (d *Discard) Receive(sink core.PacketSink)             { d.Sink = sink }
func (*Discard) Close() error                               { return nil }
