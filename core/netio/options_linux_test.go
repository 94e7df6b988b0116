package netio_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
	"golang.org/x/sys/unix"
)

// Addresses for documentation, which this machine does not have.
var notOurs = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:0"), netip.MustParseAddrPort("[2001:db8::7]:0")}

// A socket may be bound to an address that is not this machine's if it asks for that.
func TestSocketOptionsForeignAddress(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	for _, at := range notOurs {
		for _, tc := range []struct {
			name string
			o    netio.SocketOptions
			err  error
		}{
			{"no options", netio.SocketOptions{}, syscall.EADDRNOTAVAIL},
			{"transparent", netio.SocketOptions{Transparent: true}, nil},
			{"free bind", netio.SocketOptions{FreeBind: true}, nil},
		} {
			set := new(netio.SocketSet)
			l, err := set.ListenWith(t.Context(), at, tc.o)
			if !errors.Is(err, tc.err) {
				t.Errorf("%s, TCP on %s: got %v, want %v", tc.name, at, err, tc.err)
			}
			if err == nil {
				l.Close()
			}
			p, err := set.ListenPacketsWith(t.Context(), at, tc.o)
			if !errors.Is(err, tc.err) {
				t.Errorf("%s, UDP on %s: got %v, want %v", tc.name, at, err, tc.err)
			}
			if err == nil {
				p.Close()
			}
		}
	}
}

// option reads an option of a connection's socket.
func option[T any](t *testing.T, c syscall.Conn, read func(fd int) (T, error)) T {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value T
	if control := raw.Control(func(fd uintptr) { value, err = read(int(fd)) }); control != nil || err != nil {
		t.Fatal(control, err)
	}
	return value
}

// Connections and datagrams carry the mark.
func TestSocketOptionsMark(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	o := netio.SocketOptions{Mark: 0xfedcba98}
	l := leaseWith(t, coretest.AnyPort, o)
	serveName(t, l, "a")
	c, err := (&net.Dialer{Control: o.Control}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mark := option(t, c.(*net.TCPConn), func(fd int) (int, error) { return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK) })
	if uint32(mark) != o.Mark {
		t.Errorf("mark: got %#x, want %#x", uint32(mark), o.Mark)
	}
	peer.Command(t, "nft", "add table inet t; add chain inet t out { type filter hook output priority 0; }; add rule inet t out meta mark 0xfedcba98 drop")
	for _, at := range []string{"127.0.0.1:9", "[::1]:9"} {
		for want, o := range []netio.SocketOptions{o, {}} {
			s, err := netio.OpenUDPWith(o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if n, err := s.Send([]netio.Datagram{{Peer: netip.MustParseAddrPort(at), Data: []byte("x")}}); n != want || err != nil {
				t.Errorf("mark %#x to %s, whose packets are dropped: got %d sent, %v, want %d", o.Mark, at, n, err, want)
			}
		}
	}
}

// leaseWith leases an address in a set of its own.
func leaseWith(t *testing.T, at netip.AddrPort, o netio.SocketOptions) *netio.Listener {
	t.Helper()
	l, err := new(netio.SocketSet).ListenWith(t.Context(), at, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// A socket is bound to an interface, and the error of one that does not exist names
// the option.
func TestSocketOptionsInterface(t *testing.T) {
	o := netio.SocketOptions{Interface: "lo"}
	l := leaseWith(t, coretest.AnyPort, o)
	serveName(t, l, "a")
	c, err := (&net.Dialer{Control: o.Control}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	name := option(t, c.(*net.TCPConn), func(fd int) (string, error) {
		return unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	})
	if name != "lo" {
		t.Errorf("interface: got %q, want lo", name)
	}
	s, err := netio.ListenUDPWith(coretest.AnyPort, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	o.Interface = "nowhere0"
	_, tcp := new(netio.SocketSet).ListenWith(t.Context(), coretest.AnyPort, o)
	_, udp := netio.ListenUDPWith(coretest.AnyPort, o)
	_, out := netio.OpenUDPWith(o)
	for _, err := range []error{tcp, udp, out} {
		if !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "socket option interface nowhere0: ") {
			t.Errorf("an interface that does not exist: got %v, want an ENODEV that names the option", err)
		}
	}
}

// Without the right to it an option is an error that names it.
func TestSocketOptionsDenied(t *testing.T) {
	if syscall.Geteuid() == 0 {
		t.Skip("root may do all of this")
	}
	_, err := netio.ListenUDPWith(coretest.AnyPort, netio.SocketOptions{Transparent: true})
	if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "socket option transparent: ") {
		t.Errorf("got %v, want an EPERM that names the option", err)
	}
}
