package coretest

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// echoServer is a UDP server on loopback that returns each datagram to its source.
type echoServer struct {
	addr core.Addr
	from chan netip.AddrPort // sources of datagrams; further ones are dropped while 64 are queued
}

func newEcho(t testing.TB) *echoServer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	e := &echoServer{addr: core.AddrFrom(conn.LocalAddr().(*net.UDPAddr).AddrPort()), from: make(chan netip.AddrPort, 64)}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			select {
			case e.from <- from:
			default: // the queue is full
			}
			_, _ = conn.WriteToUDPAddrPort(b[:n], from) // the waiting test detects a missing datagram
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return e
}

// inbox queues copies of the datagrams that its sink receives.
type inbox struct{ got chan core.Packet }

func newInbox() *inbox { return &inbox{got: make(chan core.Packet, packetQueue)} }

func (in *inbox) sink(ps []core.Packet) {
	for _, p := range ps {
		select {
		case in.got <- core.Packet{Addr: p.Addr, Data: slices.Clone(p.Data)}:
		default: // the waiting test detects a missing datagram
		}
		clear(p.Data) // as the owner may after the sink has returned
	}
}

func (in *inbox) next(t testing.TB) core.Packet {
	t.Helper()
	return Await(t, "a datagram", in.got)
}
