package inbound

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// silent is a Handshaker whose clients never make a request.
type silent struct{}

func (silent) Handshake(_ context.Context, conn core.Stream, _ core.Client, _ Requests) error {
	_, err := conn.Read(make([]byte, 1))
	return errors.Join(core.ErrShort, err)
}

func (silent) Fail(core.Stream, time.Time, error) {}

// newBoth returns an inbound that serves streams and datagrams.
func newBoth(t testing.TB, s *site) core.Inbound {
	t.Helper()
	streams, err := New(s.env, s.options, silent{})
	if err != nil {
		t.Fatal(err)
	}
	packets, err := NewPacketServer(s.env, s.options, newFakeServer(true))
	if err != nil {
		t.Fatal(err)
	}
	return Both(streams, packets)
}

// Both halves listen at one address, serve, and end together.
func TestBoth(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	in := newBoth(t, site)
	at := site.options.Listen[0].AddrPort()
	if p, ok := in.(core.PacketInbound); !ok || !p.ServesPackets() {
		t.Error("serves UDP: got false")
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, network := range []core.Network{core.TCP, core.UDP} {
		if !netio.SocketsOf(site.env.Process).Has(network, at) {
			t.Errorf("%s: got not listening at %v", network, at)
		}
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	say(t, listenPlain(t), at, wire(1, web, "x")) // the kernel keeps it for Serve
	coretest.Await(t, "a datagram", h.came)
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	h.WaitEnds(t, 1) // of the stream's handshake
	if err := in.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	serving.Wait()
	requests, _ := h.served()
	if cause := requests[0].Flow.Cause(); cause != core.ErrShutdown {
		t.Errorf("the session: got cut with %v, want %v", cause, core.ErrShutdown)
	}
}

// If one half can't listen, a shutdown gives back what the other has.
func TestBothInUse(t *testing.T) {
	site := newSite(t, "127.0.0.1")
	at := site.options.Listen[0].AddrPort()
	taken, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	in := newBoth(t, site)
	var option *core.OptionError
	if err := in.Listen(t.Context()); !errors.As(err, &option) || option.Key != "listen.0" || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen: got %v, want an error for listen.0, an EADDRINUSE", err)
	}
	if err := in.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if netio.SocketsOf(site.env.Process).Has("tcp", at) {
		t.Error("TCP is listened on after the shutdown")
	}
}
