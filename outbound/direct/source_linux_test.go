//go:build linux && !portable

package direct

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/test/peer"
	"golang.org/x/sys/unix"
)

// TestSourceAddresses dials and sends from a range that the machine has as a whole, and from
// an address that it does not have.
func TestSourceAddresses(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	peer.Command(t, "ip", "-6", "route", "add", "local", "2001:db8:5::/64", "dev", "lo")
	peer.Command(t, "ip", "route", "add", "local", "198.51.100.0/24", "dev", "lo")
	d := from(t, "198.51.100.0/24 2001:db8:5::/64")
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r := of("alice", "203.0.113.1")
		r.Target, r.Flow = core.AddrFrom(l.Addr().(*net.TCPAddr).AddrPort()), new(core.Flow)
		want := d.netFor(r).Socket.Source(r.Target.IP())
		s, err := d.DialStream(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != want {
			t.Errorf("a connection to %s came from %v, want %v", at, got, want)
		}
		target := coretest.ListenUDP(t, at)
		in := coretest.Gather(t, target)
		p, err := d.OpenPackets(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if sent, err := p.WritePackets([]core.Packet{{Addr: core.AddrFrom(target.Addr()), Data: []byte("x")}}); sent != 1 || err != nil {
			t.Errorf("send to %s: got %d, %v", at, sent, err)
		}
		if got := coretest.Await(t, "the datagram", in.Got); got.Peer.Addr() != want {
			t.Errorf("a datagram to %s came from %v, want %v", at, got.Peer, want)
		}
		r.Flow = new(core.Flow)
		if _, err := from(t, "203.0.113.77 2001:db8:77::1").DialStream(t.Context(), r); !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "does this machine have the addresses of from?") || core.IsAtTarget(err) {
			t.Errorf("an address of others: got %v", err)
		}
	}
}

// TestSocketOptions reads the options of a connection back.
func TestSocketOptions(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := func(o Options) (core.Stream, error) {
		o.Allow = prefixes(t, "127.0.0.0/8")
		out, err := New(coretest.Env(t), o)
		if err != nil {
			t.Fatal(err)
		}
		return out.(*Outbound).DialStream(t.Context(), &core.Request{Target: core.AddrFrom(l.Addr().(*net.TCPAddr).AddrPort()), Flow: new(core.Flow)})
	}
	s, err := dial(Options{Interface: "lo", Mark: 0x51})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	raw, err := s.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		if mark, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK); err != nil || mark != 0x51 {
			t.Errorf("got the mark %#x, %v", mark, err)
		}
		if name, err := unix.GetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err != nil || name != "lo" {
			t.Errorf("got the interface %q, %v", name, err)
		}
	})
	if _, err := dial(Options{Interface: "none7"}); !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "interface none7") {
		t.Errorf("no such interface: got %v", err)
	}
}

// TestFastOpen dials a target twice: the second time the first bytes travel in the SYN.
func TestFastOpen(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_fastopen", []byte("3"), 0); err != nil {
		t.Fatal(err)
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16) })
	}}
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := New(coretest.Env(t), Options{FastOpen: true, Allow: prefixes(t, "127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s, err := out.(*Outbound).DialStream(t.Context(), &core.Request{Target: core.AddrFrom(l.Addr().(*net.TCPAddr).AddrPort()), Payload: []byte("hello"), Flow: new(core.Flow)})
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
			t.Errorf("dial %d: got %q, %v", i, got, err)
		}
		c.Close()
		s.Close()
	}
	if n := fastOpens(t); n < 2 {
		t.Errorf("got %d SYNs with data, want those of the second and third dial", n)
	}
}

// fastOpens returns how many SYNs with data were accepted in this namespace.
func fastOpens(t *testing.T) int {
	text, err := os.ReadFile("/proc/thread-self/net/netstat")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for j, name := range names {
			if name == "TCPFastOpenActive" && j < len(values) {
				n := 0
				for _, c := range values[j] {
					n = n*10 + int(c-'0')
				}
				return n
			}
		}
	}
	t.Fatal("no TCPFastOpenActive")
	return 0
}
