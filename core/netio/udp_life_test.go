package netio_test

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

func TestListenUDPErrors(t *testing.T) {
	s := coretest.ListenUDP(t, "127.0.0.1:0")
	if again, err := netio.ListenUDP(s.Addr()); err == nil {
		again.Close()
		t.Errorf("listen on %v again: got nil, want an error", s.Addr())
	}
	if foreign, err := netio.ListenUDP(netip.MustParseAddrPort("203.0.113.77:0")); err == nil {
		foreign.Close()
		t.Error("listen on an address of another machine: got nil, want an error")
	}
}

// A socket that is closed sends nothing, and may be closed again.
func TestUDPSocketClosed(t *testing.T) {
	peer := coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, peer)
	s, err := netio.OpenUDP()
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr().IsValid() {
		t.Errorf("address of a socket that is not bound: got %v", s.Addr())
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	for _, n := range []int{0, 1, 2, 2 * netio.MaxBurst} {
		ds := make([]netio.Datagram, n)
		for i := range ds {
			ds[i] = netio.Datagram{Peer: peer.Addr(), Data: []byte("late")}
		}
		if sent, err := s.Send(ds); sent != 0 || n > 0 && !errors.Is(err, net.ErrClosed) {
			t.Errorf("send %d after close: got %d, %v, want 0, net.ErrClosed", n, sent, err)
		}
	}
	s.Grow(1 << 16) // must not panic
	if len(in.Got) != 0 {
		t.Errorf("the peer got %d datagrams, want none", len(in.Got))
	}
}

// What can't be sent is left out, and what stands around it arrives.
func TestUDPSocketSendSkips(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, peer)
	to := func(at netip.AddrPort, data string) netio.Datagram {
		return netio.Datagram{Peer: at, Data: []byte(data)}
	}
	for _, tc := range []struct {
		name string
		bad  netio.Datagram
	}{
		{"no address", to(netip.AddrPort{}, "bad")},
		{"port 0", to(netip.AddrPortFrom(peer.Addr().Addr(), 0), "bad")},
		{"IPv6", to(netip.MustParseAddrPort("[::1]:9"), "bad")},
		{"too long", netio.Datagram{Peer: peer.Addr(), Data: make([]byte, core.MaxDatagram+1)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if n, err := s.Send([]netio.Datagram{tc.bad}); n != 0 || err != nil {
				t.Errorf("send it alone: got %d, %v, want 0, nil", n, err)
			}
			n, err := s.Send([]netio.Datagram{tc.bad, to(peer.Addr(), "one"), tc.bad, tc.bad, to(peer.Addr(), "two"), tc.bad})
			if n != 2 || err != nil {
				t.Errorf("send it among others: got %d, %v, want 2, nil", n, err)
			}
			for _, want := range []string{"one", "two"} {
				if got := coretest.Await(t, "a datagram", in.Got); string(got.Data) != want || got.Peer != s.Addr() {
					t.Errorf("got %q from %v, want %q from %v", got.Data, got.Peer, want, s.Addr())
				}
			}
		})
	}
}

// A panic of the sink is reported and costs the burst; later ones come.
func TestUDPSocketSinkPanics(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	got, failed := make(chan string, 8), make(chan error, 8)
	err := s.Receive(func(ds []netio.Datagram) {
		if string(ds[0].Data) == "bad" {
			panic("slice bounds")
		}
		got <- string(ds[0].Data)
	}, func(err error) { failed <- err })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		coretest.SendUDP(t, peer, netio.Datagram{Peer: s.Addr(), Data: []byte("bad")})
		var panicked *panics.Error
		if err := coretest.Await(t, "the panic", failed); !errors.As(err, &panicked) || panicked.Value != "slice bounds" || len(panicked.Stack) == 0 {
			t.Errorf("reported: got %v, want a PanicError with its stack", err)
		}
		coretest.SendUDP(t, peer, netio.Datagram{Peer: s.Addr(), Data: []byte("good")})
		if g := coretest.Await(t, "a datagram after a panic", got); g != "good" {
			t.Errorf("got %q, want good", g)
		}
	}
}

// A close may come from anywhere, at any moment.
func TestUDPSocketCloseAtOnce(t *testing.T) {
	for range 20 {
		a, b := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
		var came atomic.Int64
		ignore := func(error) {}
		count := func(ds []netio.Datagram) { came.Add(int64(len(ds))) }
		if err := a.Receive(count, ignore); err != nil {
			t.Fatal(err)
		}
		flood := func() {
			ds := make([]netio.Datagram, 7)
			for i := range ds {
				ds[i] = netio.Datagram{Peer: a.Addr(), Data: []byte("x")}
			}
			for {
				if n, err := b.Send(ds); err != nil {
					if n == len(ds) || !errors.Is(err, net.ErrClosed) {
						t.Errorf("send: got %d, %v, want fewer than %d, net.ErrClosed", n, err, len(ds))
					}
					return
				}
			}
		}
		some := make(chan struct{})
		var all sync.WaitGroup
		all.Go(flood)
		all.Go(flood)
		all.Go(func() { _ = b.Receive(count, ignore) }) // or it is closed already
		all.Go(func() { <-some; a.Close() })
		all.Go(func() { <-some; a.Close() })
		all.Go(func() { <-some; b.Close(); b.Close() })
		coretest.Eventually(t, "traffic", func() bool { return came.Load() > 0 })
		close(some)
		all.Wait()
	}
}
