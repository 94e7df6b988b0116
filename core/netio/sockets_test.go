package netio_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// greeter is a core.Acceptor that answers with its name.
type greeter struct {
	name  string
	count atomic.Int64 // of connections
}

func (g *greeter) AcceptConn(c *net.TCPConn) {
	g.count.Add(1)
	_, _ = c.Write([]byte(g.name))
	c.Close()
}

func (g *greeter) AcceptError(error) {}

// lease leases at, and closes the lease at the end of the test.
func lease(t testing.TB, set *netio.SocketSet, at netip.AddrPort) *netio.Listener {
	t.Helper()
	l, err := set.Listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// serveName has l answer with a name until it is closed.
func serveName(t testing.TB, l *netio.Listener, name string) *greeter {
	t.Helper()
	g := &greeter{name: name}
	var serving sync.WaitGroup
	serving.Go(func() { l.Serve(g) })
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return g
}

// greeted connects and returns the answer.
func greeted(at netip.AddrPort) (string, error) {
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		return "", err
	}
	defer c.Close()
	name, err := io.ReadAll(c)
	return string(name), err
}

// While leases follow one another no client is refused, and none is lost.
func TestListenerTakeover(t *testing.T) {
	const names = "abcdef"
	set := new(netio.SocketSet)
	at := coretest.FreeAddr(t)
	now := lease(t, set, at)
	owner := serveName(t, now, names[:1])
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for range 4 {
		clients.Go(func() {
			for last := ""; ctx.Err() == nil; {
				name, err := greeted(at)
				if err != nil || len(name) != 1 || !strings.Contains(names, name) || name < last {
					t.Errorf("client: got %q, %v after %q, want an answer of an owner", name, err, last)
					return
				}
				last = name
			}
		})
	}
	for i := 1; i < len(names); i++ {
		coretest.Eventually(t, "clients of "+owner.name, func() bool { return owner.count.Load() >= 10 })
		next := lease(t, set, at)
		before := owner.count.Load()
		coretest.Eventually(t, "clients of the old owner before the new one serves", func() bool { return owner.count.Load() > before })
		owner = serveName(t, next, names[i:i+1])
		coretest.Eventually(t, "clients of "+owner.name, func() bool { return owner.count.Load() >= 10 })
		now.Close()
		now = next
	}
}

// A client that comes when the owner has ended and the next one does not serve
// yet waits for it.
func TestListenerGap(t *testing.T) {
	for range 20 { // it depends on who is faster
		set := new(netio.SocketSet)
		at := coretest.FreeAddr(t)
		old, next := lease(t, set, at), lease(t, set, at)
		serveName(t, old, "a")
		if name, err := greeted(at); name != "a" || err != nil {
			t.Fatalf("client: got %q, %v, want a", name, err)
		}
		old.Close()
		c := coretest.DialTCP(t, at, "")
		serveName(t, next, "b")
		if name, err := io.ReadAll(c); string(name) != "b" || err != nil {
			t.Fatalf("client in the gap: got %q, %v, want b", name, err)
		}
	}
}

// A lease that ended before its Serve takes nothing from the owner.
func TestListenerServeTooLate(t *testing.T) {
	set := new(netio.SocketSet)
	at := coretest.FreeAddr(t)
	owner, late := lease(t, set, at), lease(t, set, at)
	a := serveName(t, owner, "a")
	if name, err := greeted(at); name != "a" || err != nil {
		t.Errorf("client: got %q, %v, want a", name, err)
	}
	late.Close()
	late.Serve(&greeter{name: "b"}) // returns
	for range 3 {
		if name, err := greeted(at); name != "a" || err != nil {
			t.Errorf("client: got %q, %v, want a", name, err)
		}
	}
	if n := a.count.Load(); n != 4 {
		t.Errorf("clients of the owner: got %d, want 4", n)
	}
}

func TestListenerLastCloseFrees(t *testing.T) {
	set := new(netio.SocketSet)
	at := coretest.FreeAddr(t)
	first, second := lease(t, set, at), lease(t, set, at)
	for range 2 {
		first.Close()
	}
	if l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); err == nil {
		l.Close()
		t.Error("bind before the last lease ended: got nil, want an error")
	}
	second.Close()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("bind after the last lease ended: %v", err)
	}
	defer l.Close()
	if set.Has("tcp", at) {
		t.Errorf("has %v after the last lease ended: got true", at)
	}
}

func TestListenInUse(t *testing.T) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(coretest.AnyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	_, err = new(netio.SocketSet).Listen(t.Context(), at)
	want := "listen on " + at.String() + ": "
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), at.String()) != 1 {
		t.Errorf("listen: got %v, want %s…, an EADDRINUSE that names the address once", err, want)
	}
}

// ownAddr returns an address of an interface of this machine.
func ownAddr(t *testing.T) netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, _ := netip.AddrFromSlice(n.IP); ip.Unmap().IsGlobalUnicast() {
			return ip.Unmap()
		}
	}
	t.Log("no interface but loopback: taking that")
	return netip.MustParseAddr("127.0.0.1")
}

func TestSocketSetHas(t *testing.T) {
	own, foreign := ownAddr(t), netip.MustParseAddr("203.0.113.77")
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, tc := range []struct {
		name string
		at   netip.Addr
		ip   netip.Addr
		want bool
	}{
		{"exact", loopback, loopback, true},
		{"another loopback address", loopback, netip.MustParseAddr("127.0.0.2"), false},
		{"foreign", loopback, foreign, false},
		{"all of IPv4, loopback", netip.IPv4Unspecified(), loopback, true},
		{"all of IPv4, own", netip.IPv4Unspecified(), own, true},
		{"all of IPv4, foreign", netip.IPv4Unspecified(), foreign, false},
		{"all, loopback", netip.IPv6Unspecified(), loopback, true},
		{"all, IPv6 loopback", netip.IPv6Unspecified(), netip.IPv6Loopback(), true},
		{"all, own", netip.IPv6Unspecified(), own, true},
		{"all, itself", netip.IPv6Unspecified(), netip.IPv6Unspecified(), true},
		{"all, foreign", netip.IPv6Unspecified(), foreign, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := new(netio.SocketSet)
			port := lease(t, set, netip.AddrPortFrom(tc.at, 0)).Addr().Port()
			if got := set.Has("tcp", netip.AddrPortFrom(tc.ip, port)); got != tc.want {
				t.Errorf("has %v: got %t, want %t", tc.ip, got, tc.want)
			}
			if set.Has("tcp", netip.AddrPortFrom(tc.ip, port^1)) {
				t.Errorf("has %v on another port: got true", tc.ip)
			}
		})
	}
}

// An address without a host serves both families.
func TestListenBothFamilies(t *testing.T) {
	l := lease(t, new(netio.SocketSet), netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
	serveName(t, l, "a")
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			ip := netip.MustParseAddr(host)
			if probe, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip.AsSlice()}); err != nil {
				t.Skipf("this machine has no %s: %v", host, err)
			} else {
				probe.Close()
			}
			if name, err := greeted(netip.AddrPortFrom(ip, l.Addr().Port())); name != "a" || err != nil {
				t.Errorf("client: got %q, %v, want a", name, err)
			}
		})
	}
}

func TestListenerConcurrent(t *testing.T) {
	set := new(netio.SocketSet)
	at := coretest.FreeAddr(t)
	for range 100 {
		a, b := lease(t, set, at), lease(t, set, at)
		coretest.Together(
			func() { a.Serve(&greeter{name: "a"}) },
			func() { b.Serve(&greeter{name: "b"}) },
			func() { _, _ = greeted(at) },
			a.Close, a.Close, b.Close,
			func() { set.Has("tcp", at) },
		)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("bind after all: %v", err)
	}
	l.Close()
}
