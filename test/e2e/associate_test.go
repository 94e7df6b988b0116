package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// The commands of a SOCKS5 request.
const (
	commandConnect   = 1
	commandAssociate = 3
)

// nowhere is the address in the request of a client that does not know its source address
// yet.
const nowhere = "0.0.0.0:0"

// association is a SOCKS5 client's UDP association. As a net.PacketConn its remote addresses
// are targets and sources of answers.
type association struct {
	control *net.TCPConn
	socket  *net.UDPConn // bound to the local address of control
	relay   netip.AddrPort

	mu sync.Mutex
	in []byte // buffer for one datagram; guarded by mu
}

var _ net.PacketConn = (*association)(nil)

// associate opens an association at a SOCKS5 proxy. It ends with the test.
func associate(t testing.TB, proxy int) *association {
	t.Helper()
	a, err := openAssociation(peer.Addr(proxy), nowhere)
	if err != nil {
		t.Fatalf("associate: %v", err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// openAssociation opens an association with an address in the request. The error of a refusal
// is a replyError.
func openAssociation(proxy, named string, user ...string) (*association, error) {
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		return nil, err
	}
	a, err := newAssociation(c.(*net.TCPConn), named, user...)
	if err != nil {
		c.Close()
	}
	return a, err
}

// newAssociation requests an association over an open connection. user is empty, or a name and
// a password.
func newAssociation(c *net.TCPConn, named string, user ...string) (*association, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := greet(c, user...); err != nil {
		return nil, err
	}
	bound, err := request(c, commandAssociate, named)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: c.LocalAddr().(*net.TCPAddr).IP})
	if err != nil {
		return nil, err
	}
	_ = socket.SetReadBuffer(4 << 20) // the system may set less
	_ = socket.SetReadDeadline(time.Now().Add(patience))
	return &association{control: c, socket: socket, relay: bound.AddrPort(), in: make([]byte, core.MaxDatagram)}, nil
}

// greet runs the handshake up to the request, with a name and a password if given.
func greet(c net.Conn, user ...string) error {
	hello, want := []byte{5, 1, 0}, []byte{5, 0}
	if len(user) == 2 {
		name, password := user[0], user[1]
		hello = slices.Concat([]byte{5, 1, 2, 1, byte(len(name))}, []byte(name), []byte{byte(len(password))}, []byte(password))
		want = []byte{5, 2, 1, 0}
	}
	if _, err := c.Write(hello); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("greeting: got %x, want %x", got, want)
	}
	return nil
}

// request sends a request and returns the address in its reply. The error of a
// refusal is a replyError.
func request(c net.Conn, command byte, target string) (core.Addr, error) {
	addr, err := core.ParseAddr(target)
	if err != nil {
		return core.Addr{}, err
	}
	if _, err := c.Write(socksaddr.Append([]byte{5, command, 0}, addr)); err != nil {
		return core.Addr{}, err
	}
	head := make([]byte, 4) // up to the type of the address
	if _, err := io.ReadFull(c, head); err != nil {
		return core.Addr{}, err
	}
	if head[1] != 0 {
		return core.Addr{}, replyError(head[1])
	}
	rest := make([]byte, map[byte]int{1: 6, 4: 18}[head[3]])
	if _, err := io.ReadFull(c, rest); err != nil {
		return core.Addr{}, err
	}
	bound, _, err := socksaddr.Decode(append(head[3:], rest...))
	return bound, err
}

// appendDatagram appends a datagram of SOCKS5 for a target, "host:port".
func appendDatagram(b []byte, target string, payload []byte) ([]byte, error) {
	addr, err := core.ParseAddr(target)
	if err != nil {
		return nil, err
	}
	return append(socksaddr.Append(append(b, 0, 0, 0), addr), payload...), nil
}

// WriteTo sends payload to a target.
func (a *association) WriteTo(payload []byte, target net.Addr) (int, error) {
	datagram, err := appendDatagram(make([]byte, 0, len(payload)+64), target.String(), payload)
	if err != nil {
		return 0, err
	}
	if _, err := a.socket.WriteToUDPAddrPort(datagram, a.relay); err != nil {
		return 0, err
	}
	return len(payload), nil
}

// ReadFrom reads the next answer; addr is its source.
func (a *association) ReadFrom(payload []byte) (n int, addr net.Addr, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, from, err := a.socket.ReadFromUDPAddrPort(a.in)
	if err != nil {
		return 0, nil, err
	}
	if from != a.relay {
		return 0, nil, fmt.Errorf("a datagram from %s, not from the relay at %s", from, a.relay)
	}
	if n < 3 || a.in[0] != 0 || a.in[1] != 0 || a.in[2] != 0 {
		return 0, nil, errors.New("a datagram without the header of SOCKS5")
	}
	source, size, err := socksaddr.Decode(a.in[3:n])
	if err != nil {
		return 0, nil, err
	}
	return copy(payload, a.in[3+size:n]), net.UDPAddrFromAddrPort(source.AddrPort()), nil
}

// Close ends the association.
func (a *association) Close() error { return errors.Join(a.socket.Close(), a.control.Close()) }

func (a *association) LocalAddr() net.Addr                { return a.socket.LocalAddr() }
func (a *association) SetDeadline(d time.Time) error      { return a.socket.SetDeadline(d) }
func (a *association) SetReadDeadline(d time.Time) error  { return a.socket.SetReadDeadline(d) }
func (a *association) SetWriteDeadline(d time.Time) error { return a.socket.SetWriteDeadline(d) }
func (a *association) SetReadBuffer(size int) error       { return a.socket.SetReadBuffer(size) }
func (a *association) SetWriteBuffer(size int) error      { return a.socket.SetWriteBuffer(size) }
