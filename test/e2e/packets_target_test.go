package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// listenPackets opens a UDP socket on a free port of a host, for use by the test.
func listenPackets(t testing.TB, host string) *net.UDPConn {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	_ = socket.SetReadBuffer(4 << 20) // the system may set less
	_ = socket.SetReadDeadline(time.Now().Add(patience))
	return socket
}

// readPacket returns the next datagram of a socket and its source.
func readPacket(t testing.TB, socket *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	b := make([]byte, core.MaxDatagram)
	n, from, err := socket.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return string(b[:n]), from
}

// writePacket sends a datagram from a socket.
func writePacket(t testing.TB, socket *net.UDPConn, to netip.AddrPort, payload string) {
	t.Helper()
	if _, err := socket.WriteToUDPAddrPort([]byte(payload), to); err != nil {
		t.Fatalf("send %d bytes to %s: %v", len(payload), to, err)
	}
}

// expectNothing fails the test if a datagram is queued at a socket. Datagrams sent before the call have
// arrived, because loopback delivers them during the send call.
func expectNothing(t testing.TB, socket *net.UDPConn) {
	t.Helper()
	const end = "nothing before this"
	mark := listenPackets(t, socket.LocalAddr().(*net.UDPAddr).IP.String())
	writePacket(t, mark, socket.LocalAddr().(*net.UDPAddr).AddrPort(), end)
	if got, from := readPacket(t, socket); got != end {
		t.Errorf("got %s from %s, want nothing", summary(got), from)
	}
}

// summary describes a datagram in a failure.
func summary(payload string) string {
	if len(payload) > 40 {
		return fmt.Sprintf("%d bytes that begin with %q", len(payload), payload[:20])
	}
	return fmt.Sprintf("%q", payload)
}

// inbox records received datagrams.
type inbox struct {
	mu      sync.Mutex
	seen    map[string]int   // guarded by mu; number of datagrams per payload
	sources []netip.AddrPort // guarded by mu; distinct
}

func newInbox() *inbox { return &inbox{seen: map[string]int{}} }

func (in *inbox) note(payload string, from netip.AddrPort) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seen[payload]++
	if !slices.Contains(in.sources, from) {
		in.sources = append(in.sources, from)
	}
}

// times returns the number of datagrams with payload.
func (in *inbox) times(payload string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.seen[payload]
}

// all returns the number of datagrams per payload.
func (in *inbox) all() map[string]int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return maps.Clone(in.seen)
}

// from returns the distinct sources, in the order of their first datagrams.
func (in *inbox) from() []netip.AddrPort {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.sources)
}

// packetTarget is a UDP target that records datagrams, in the order in which they were sent.
type packetTarget struct {
	*inbox
	addr string
}

// newEcho starts a target on a free port of a host, which echoes all datagrams.
func newEcho(t testing.TB, host string) *packetTarget {
	t.Helper()
	return newTarget(t, host, func(socket *net.UDPConn, payload []byte, from netip.AddrPort) {
		_, _ = socket.WriteToUDPAddrPort(payload, from) // a test that waits for the echo fails
	})
}

// newSink starts a target that does not answer.
func newSink(t testing.TB, host string) *packetTarget {
	t.Helper()
	return newTarget(t, host, func(*net.UDPConn, []byte, netip.AddrPort) {})
}

func newTarget(t testing.TB, host string, answer func(socket *net.UDPConn, payload []byte, from netip.AddrPort)) *packetTarget {
	t.Helper()
	socket := listenPackets(t, host)
	_ = socket.SetReadDeadline(time.Time{})
	target := &packetTarget{newInbox(), socket.LocalAddr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			target.note(string(b[:n]), from)
			answer(socket, b[:n], from)
		}
	})
	t.Cleanup(func() {
		socket.Close()
		serving.Wait()
	})
	return target
}

// pattern returns size bytes that depend on size and seed.
func pattern(size int, seed uint64) string {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return string(b)
}

// spec is the method of the tests.
func spec(t testing.TB, method string) aead.Spec {
	t.Helper()
	i := slices.IndexFunc(aead.Specs(), func(s aead.Spec) bool { return s.Method == method })
	if i < 0 {
		t.Fatalf("no method %s", method)
	}
	return aead.Specs()[i]
}

// packetClient seals and opens datagrams as a client does.
func packetClient(t testing.TB, method string) core.PacketClient {
	t.Helper()
	s := spec(t, method)
	c, err := aead.New(s, key.FromPassword(peer.Password, s.KeySize), replay.NewSalts(1))
	if err != nil {
		t.Fatal(err)
	}
	client, err := c.NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// sealed returns a datagram of a client to a target.
func sealed(t testing.TB, client core.PacketClient, target, payload string) string {
	t.Helper()
	addr, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := client.AppendPacket(nil, []byte(payload), addr)
	if err != nil {
		t.Fatal(err)
	}
	return string(wire)
}
