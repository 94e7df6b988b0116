package pipeline_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// fakePackets is a core.PacketConn without a network: what is written is kept, and
// the test gives what arrives. Its fields are set before it is used.
type fakePackets struct {
	take    int                    // of each burst, if it is not 0: how many are taken
	err     error                  // of WritePackets
	onWrite func(ps []core.Packet) // called first; may panic

	mu     sync.Mutex
	sink   core.PacketSink // guarded by mu, as is what follows
	wrote  []string
	closed int
}

var _ core.PacketConn = (*fakePackets)(nil)

func (f *fakePackets) WritePackets(ps []core.Packet) (int, error) {
	if f.onWrite != nil {
		f.onWrite(ps)
	}
	if f.err != nil {
		return 0, f.err
	}
	if f.take > 0 {
		ps = ps[:min(f.take, len(ps))]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range ps {
		f.wrote = append(f.wrote, p.Addr.String()+" "+string(p.Data))
	}
	return len(ps), nil
}

func (f *fakePackets) Receive(sink core.PacketSink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sink = sink
}

func (f *fakePackets) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

// give has texts arrive in one burst.
func (f *fakePackets) give(texts ...string) {
	var ps []core.Packet
	for _, text := range texts {
		ps = append(ps, core.Packet{Addr: coretest.Target, Data: []byte(text)})
	}
	f.sink(ps)
}

// written checks what was written since the last call, all of it to the target or
// from it.
func (f *fakePackets) written(t testing.TB, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range want {
		want[i] = coretest.Target.String() + " " + want[i]
	}
	if !slices.Equal(f.wrote, want) {
		t.Errorf("written: got %q, want %q", f.wrote, want)
	}
	f.wrote = nil
}

// guest is a client that waits for its association.
type guest struct {
	client, upstream *fakePackets
	conn             core.PacketConn // that Accept returns; client if nil
	request          *core.Request
	err              error // of Accept
	panics           any   // of Accept
	accepted         int
	rejected         []error
}

var _ core.PendingPackets = (*guest)(nil)

func (g *guest) Accept() (core.PacketConn, error) {
	g.accepted++
	switch {
	case g.panics != nil:
		panic(g.panics)
	case g.err != nil:
		return nil, g.err
	case g.conn != nil:
		return g.conn, nil
	}
	return g.client, nil
}

func (g *guest) Reject(cause error) { g.rejected = append(g.rejected, cause) }

// guest makes a client that was admitted. The stage's dialer opens upstream for it.
func (s *stage) guest(t testing.TB) *guest {
	t.Helper()
	s.visits++
	g := &guest{client: new(fakePackets), upstream: new(fakePackets), request: &core.Request{
		ID: uint64(s.visits), Network: core.UDP, User: "alice", Flow: new(core.Flow),
		Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 4710+s.visits), Network: core.UDP, Inbound: "in"},
	}}
	if err := s.Admit(g.request.Client); err != nil {
		t.Fatal(err)
	}
	return g
}

// serve gives the client to the pipeline, whose dialer opens its upstream.
func (g *guest) serve(t testing.TB, s *stage) {
	t.Helper()
	if s.dialer.Packets == nil {
		s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return g.upstream, nil }
		defer func() { s.dialer.Packets = nil }()
	}
	s.HandlePackets(t.Context(), g.request, g, nil)
}

// ended checks that both sides are closed.
func (g *guest) ended(t testing.TB) {
	t.Helper()
	if g.client.closed == 0 || g.upstream.closed == 0 {
		t.Errorf("closed: got client %d times, upstream %d times, want both", g.client.closed, g.upstream.closed)
	}
}
