package inbound

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// fakeSession is a core.PacketSession whose datagrams are in the clear: its id,
// the address and the payload.
type fakeSession struct {
	id     byte
	closed atomic.Int64 // calls of Close
}

var _ core.PacketSession = (*fakeSession)(nil)

func (s *fakeSession) Overhead(source core.Addr) int { return 1 + socksaddr.Len(source) }

func (s *fakeSession) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	return append(socksaddr.Append(append(dst, s.id), source), payload...), nil
}

func (s *fakeSession) User() string { return "user" + string('0'+rune(s.id)) }
func (s *fakeSession) Close()       { s.closed.Add(1) }

// patience bounds what should happen at once.
const patience = 20 * time.Second

// listenPlain returns a plain UDP socket on loopback, closed at the end of the
// test, that does not hang it.
func listenPlain(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// hears reads one datagram.
func hears(t testing.TB, c *net.UDPConn, want []byte) (from netip.AddrPort) {
	t.Helper()
	b := make([]byte, core.MaxDatagram)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil || !bytes.Equal(b[:n], want) {
		t.Errorf("got %q, %v, want %q", b[:n], err, want)
	}
	return from
}

func target(t testing.TB, s string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// errNoise is what a fakeServer says of a datagram that is not for it.
var errNoise = errors.New("noise")

// fakeServer is a core.PacketServer without protection. A datagram is that of
// fakeSession, with its target; the id 0xff is noise.
type fakeServer struct {
	roams    bool
	mu       sync.Mutex
	sessions map[byte]*fakeSession // guarded by mu
	asked    atomic.Int64          // calls of Open
}

func newFakeServer(roams bool) *fakeServer {
	return &fakeServer{roams: roams, sessions: map[byte]*fakeSession{}}
}

func (f *fakeServer) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	f.asked.Add(1)
	if len(wire) == 0 || wire[0] == 0xff {
		return core.OpenedPacket{}, errNoise
	}
	to, n, err := socksaddr.Decode(wire[1:])
	if err != nil {
		return core.OpenedPacket{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[wire[0]]
	if s == nil {
		s = &fakeSession{id: wire[0]}
		f.sessions[wire[0]] = s
	}
	return core.OpenedPacket{Session: s, Target: to, Payload: wire[1+n:]}, nil
}

func (f *fakeServer) Roams() bool { return f.roams }

// wire is a datagram of a client's session.
func wire(id byte, to core.Addr, text string) []byte {
	return append(socksaddr.Append([]byte{id}, to), text...)
}

// host is a core.Handler that opens each association at once and keeps what comes.
type host struct {
	*coretest.Gate
	reject error // of all associations
	panics bool  // each burst

	mu       sync.Mutex
	requests []*core.Request   // guarded by mu
	conns    []core.PacketConn // of the same; guarded by mu
	came     chan string       // bursts, as "user: text text"

	overlaps atomic.Int64 // bursts that came to a sink while it had another
}

func newHost() *host { return &host{Gate: new(coretest.Gate), came: make(chan string, 256)} }

func (*host) HandleStream(_ context.Context, _ *core.Request, p core.Pending, _ func()) {
	p.Reject(core.ErrDenied)
}

func (h *host) HandlePackets(_ context.Context, r *core.Request, p core.PendingPackets, _ func()) core.Association {
	if h.reject != nil {
		p.Reject(h.reject)
		return nil
	}
	conn, err := p.Accept()
	if err != nil {
		return nil
	}
	h.mu.Lock()
	h.requests, h.conns = append(h.requests, r), append(h.conns, conn)
	h.mu.Unlock()
	r.Flow.OnCut(func() { conn.Close() })
	var inside atomic.Int64
	conn.Receive(func(ps []core.Packet) {
		if inside.Add(1) > 1 {
			h.overlaps.Add(1)
		}
		defer inside.Add(-1)
		runtime.Gosched()
		if h.panics {
			panic("slice bounds")
		}
		text := r.User + ":"
		for _, p := range ps {
			text += " " + string(p.Data)
		}
		h.came <- text
	})
	return guest{h, r.Client}
}

// guest is an association of a host, which asks its gate as a pipeline does.
type guest struct {
	host *host
	from core.Client
}

func (g guest) Move(to netip.AddrPort) error {
	next := g.from
	next.Addr = to
	if err := g.host.Admit(next); err != nil {
		return err
	}
	g.host.Observe(core.Event{Kind: core.Moved, Client: next}) // it has no more to tell
	return nil
}

// served returns the requests so far, and their connections.
func (h *host) served() ([]*core.Request, []core.PacketConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests), slices.Clone(h.conns)
}
