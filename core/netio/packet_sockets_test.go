package netio_test

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// leasePackets leases at, and closes the lease at the end of the test.
func leasePackets(t testing.TB, set *netio.SocketSet, at netip.AddrPort) *netio.PacketListener {
	t.Helper()
	l, err := set.ListenPackets(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// owner is what a lease that serves has received.
type owner struct {
	got    chan string
	failed chan error
	ended  chan error // of Serve
}

// servePackets has l serve until it is closed. A datagram "panic" makes its sink
// panic.
func servePackets(t testing.TB, l *netio.PacketListener) *owner {
	t.Helper()
	o := &owner{got: make(chan string, 1024), failed: make(chan error, 16), ended: make(chan error, 1)}
	var serving sync.WaitGroup
	serving.Go(func() {
		o.ended <- l.Serve(func(ds []netio.Datagram) {
			for _, d := range ds {
				if string(d.Data) == "panic" {
					panic("slice bounds")
				}
				o.got <- string(d.Data)
			}
		}, func(err error) { o.failed <- err })
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return o
}

// owns sends datagrams to at until one reaches o: a lease owns its socket a moment
// after its Serve was called.
func (o *owner) owns(t *testing.T, at netip.AddrPort) {
	t.Helper()
	c := dialUDP(t, "127.0.0.1", at)
	coretest.Eventually(t, "a datagram at the owner", func() bool {
		coretest.Write(t, c, []byte("yours?"))
		return len(o.got) > 0
	})
}

// gets checks that o receives what is sent, and no one else.
func (o *owner) gets(t *testing.T, at netip.AddrPort, others ...*owner) {
	t.Helper()
	c := dialUDP(t, "127.0.0.1", at)
	coretest.Write(t, c, []byte("last"))
	for coretest.Await(t, "a datagram at the owner", o.got) != "last" {
	}
	for i, other := range others {
		if len(other.got) != 0 {
			t.Errorf("lease %d, which is not the owner, got %q", i, <-other.got)
		}
	}
}

// A later lease becomes the owner when it serves, not before; the end of the
// earlier one changes nothing for it, and the socket is gone with the last.
func TestPacketListenerTakeover(t *testing.T) {
	set := new(netio.SocketSet)
	first := leasePackets(t, set, coretest.AnyPort)
	a := servePackets(t, first)
	at := first.Addr()
	a.owns(t, at)
	second := leasePackets(t, set, coretest.AnyPort)
	if second.Addr() != at || second.Socket() != first.Socket() {
		t.Errorf("second lease: got %v, %p, want %v, %p, the socket of the first", second.Addr(), second.Socket(), at, first.Socket())
	}
	a.gets(t, at)
	b := servePackets(t, second)
	b.owns(t, at)
	for len(a.got) > 0 {
		<-a.got
	}
	b.gets(t, at, a)
	for range 2 {
		if first.Close() {
			t.Error("close of the first lease: got the socket gone, want it held")
		}
	}
	if err := coretest.Await(t, "the end of the first Serve", a.ended); err != nil {
		t.Errorf("the first Serve: got %v, want nil", err)
	}
	b.gets(t, at, a)
	coretest.SendUDP(t, second.Socket(), netio.Datagram{Peer: at, Data: []byte("to myself")})
	if got := coretest.Await(t, "a datagram", b.got); got != "to myself" {
		t.Errorf("got %q, want what the socket sent", got)
	}
	for range 2 {
		if !second.Close() {
			t.Error("close of the last lease: got the socket held, want it gone")
		}
	}
	if err := coretest.Await(t, "the end of the second Serve", b.ended); err != nil {
		t.Errorf("the second Serve: got %v, want nil", err)
	}
	if _, err := second.Socket().Send([]netio.Datagram{{Peer: at, Data: []byte("x")}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send by the socket that is gone: got %v, want net.ErrClosed", err)
	}
	again := coretest.ListenUDP(t, at.String()) // fails if the address is not free
	again.Close()
}

// What comes before the first Serve waits for it.
func TestPacketListenerKeepsEarly(t *testing.T) {
	l := leasePackets(t, new(netio.SocketSet), coretest.AnyPort)
	c := dialUDP(t, "127.0.0.1", l.Addr())
	for _, text := range []string{"one", "two", "three"} {
		coretest.Write(t, c, []byte(text))
	}
	o := servePackets(t, l)
	for _, want := range []string{"one", "two", "three"} {
		if got := coretest.Await(t, "an early datagram", o.got); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// An earlier lease that serves after a later one, or a lease that has ended,
// takes nothing from the owner.
func TestPacketListenerServesTooLate(t *testing.T) {
	set := new(netio.SocketSet)
	early, owner, ended := leasePackets(t, set, coretest.AnyPort), leasePackets(t, set, coretest.AnyPort), leasePackets(t, set, coretest.AnyPort)
	o := servePackets(t, owner)
	o.owns(t, owner.Addr())
	ended.Close()
	over := servePackets(t, ended)
	if err := coretest.Await(t, "the Serve of an ended lease", over.ended); err != nil {
		t.Errorf("the Serve of an ended lease: got %v, want nil", err)
	}
	late := servePackets(t, early)
	o.gets(t, owner.Addr(), over, late)
	early.Close()
	if err := coretest.Await(t, "the Serve of the earlier lease", late.ended); err != nil {
		t.Errorf("the Serve of the earlier lease: got %v, want nil", err)
	}
	o.gets(t, owner.Addr(), over, late)
}

// The owner is told of its sink's panic, and goes on.
func TestPacketListenerPanics(t *testing.T) {
	l := leasePackets(t, new(netio.SocketSet), coretest.AnyPort)
	o := servePackets(t, l)
	o.owns(t, l.Addr())
	coretest.Write(t, dialUDP(t, "127.0.0.1", l.Addr()), []byte("panic"))
	var panicked *panics.Error
	if err := coretest.Await(t, "the panic", o.failed); !errors.As(err, &panicked) {
		t.Errorf("told of: got %v, want a PanicError", err)
	}
	o.gets(t, l.Addr())
}

func TestPacketListenerConcurrent(t *testing.T) {
	set := new(netio.SocketSet)
	at := leasePackets(t, set, coretest.AnyPort).Addr()
	other := coretest.ListenUDP(t, "127.0.0.1:0")
	ignore := func(error) {}
	for range 100 {
		a, b := leasePackets(t, set, coretest.AnyPort), leasePackets(t, set, coretest.AnyPort)
		coretest.Together(
			func() { _ = a.Serve(func([]netio.Datagram) {}, ignore) },
			func() { _ = b.Serve(func([]netio.Datagram) {}, ignore) },
			func() { _, _ = other.Send([]netio.Datagram{{Peer: at, Data: []byte("x")}}) },
			func() { a.Close() }, func() { a.Close() }, func() { b.Close() },
			func() { set.Has("udp", at) },
		)
	}
}
