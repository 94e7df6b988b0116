package socks5

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// OpenPackets asks the server for an association, beside the path: datagrams wait for its
// reply. Earlier hops carry the datagrams as their own, with the server's relay as target.
func (h *hop) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if err := h.CheckPackets(); err != nil {
		return nil, err
	}
	next := *r
	next.Target, next.IPs, next.Payload = h.way.Server, nil, nil
	wire, err := h.wire.OpenPackets(ctx, &next)
	if err != nil {
		return nil, err
	}
	next.Network = core.TCP // of the request to the server
	opening, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.timeout)
	a := &association{hop: h, wire: wire, flow: r.Flow, cancel: cancel}
	go a.open(opening, &next)
	return a, nil
}

// CheckPackets returns nil if the options allow UDP and the wire carries it.
func (h *hop) CheckPackets() error {
	if !h.mode.Packets() {
		return fmt.Errorf("%w with mode = %q", core.ErrNoPackets, h.mode)
	}
	return h.wire.CheckPackets()
}

// association is one association with the server. It lasts as long as its connection to
// the server.
type association struct {
	hop    *hop
	wire   core.PacketConn
	flow   *core.Flow
	cancel context.CancelFunc // ends the opening

	relay  atomic.Pointer[core.Addr] // where datagrams go; nil until the server has replied
	source atomic.Pointer[core.Addr] // where answers come from; nil until that is known
	isOpen atomic.Bool               // no datagram waits any more

	mu      sync.Mutex
	closed  bool          // guarded by mu, as all that follows
	control core.Stream   // nil until the server has replied
	waiting []core.Packet // copies of datagrams that wait for the reply
	bytes   int           // that they count for
}

// open opens the association. If it can't, it cuts the flow.
func (a *association) open(ctx context.Context, r *core.Request) {
	defer a.cancel()
	err := panics.Call(func() error { return a.associate(ctx, r) })
	if err == nil {
		return
	}
	a.mu.Lock()
	lost, closed := len(a.waiting), a.closed
	a.waiting = nil
	a.mu.Unlock()
	if !closed {
		a.flow.Drop(core.DropWaiting, lost)
		a.flow.Cut(core.Unopened(core.NoAnswer(err, a.hop.timeout)))
	}
}

// associate makes the request, sends the datagrams that waited, and has the connection
// watched by a goroutine with a small stack.
func (a *association) associate(ctx context.Context, r *core.Request) error {
	// The address that datagrams will come from is not known here.
	control, bound, err := a.hop.ask(ctx, r, socksaddr.CmdAssociate, core.NewIPAddr(netip.IPv4Unspecified(), 0))
	if err != nil {
		return err
	}
	if !a.hold(control) {
		control.Close()
		return nil
	}
	if tcp := netio.TCP(control); tcp != nil {
		_ = tcp.SetKeepAliveConfig(netio.KeepAlive()) // an error means that it has just been closed
	}
	if err := a.begin(relayAt(bound, a.server(control))); err != nil {
		return err
	}
	go a.watch(control)
	return nil
}

// server returns the server's address as the one that was dialled, if that can be known.
func (a *association) server(control core.Stream) core.Addr {
	if bare := netio.Bare(control); bare != nil && a.hop.first {
		return core.AddrFrom(netio.RemoteAddr(bare))
	}
	return a.hop.way.Server
}

// hold keeps the connection to the server. It reports false if the association has been
// closed.
func (a *association) hold(control core.Stream) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.control = control
	return !a.closed
}

// begin sends the datagrams that wait, in order, and has further ones sent at once.
func (a *association) begin(relay core.Addr) error {
	if relay.IP().IsValid() {
		a.source.Store(&relay)
	}
	a.relay.Store(&relay)
	for {
		a.mu.Lock()
		ps := a.waiting
		a.waiting, a.bytes = nil, 0
		if len(ps) == 0 || a.closed {
			a.isOpen.Store(true)
			a.mu.Unlock()
			return nil
		}
		a.mu.Unlock()
		if _, err := netio.SealPackets(a.flow, a.wire, relay, socksaddr.Datagram{}, ps); err != nil {
			return err
		}
	}
}

// watch cuts the flow when the connection to the server ends. The server sends nothing more
// on it; anything else is skipped.
func (a *association) watch(control core.Stream) {
	var b [64]byte
	var err error
	for err == nil {
		_, err = control.Read(b[:])
	}
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if !closed {
		a.flow.Cut(fmt.Errorf("socks5 server %s ended the association: %w", a.hop.way.Server, err))
	}
}

// WritePackets sends each datagram with its target to the server's relay, or has it wait for
// the reply.
func (a *association) WritePackets(ps []core.Packet) (int, error) {
	if !a.isOpen.Load() {
		if kept, waits, err := a.wait(ps); waits || err != nil {
			return kept, err
		}
	}
	return netio.SealPackets(a.flow, a.wire, *a.relay.Load(), socksaddr.Datagram{}, ps)
}

// waitingOverhead is what a waiting datagram counts for beyond its data, in bytes.
const waitingOverhead = 128

// wait keeps copies of ps for the reply and returns how many there was room for. It reports
// false, and keeps none, if none have to wait any more.
func (a *association) wait(ps []core.Packet) (kept int, waits bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return 0, false, net.ErrClosed
	case a.isOpen.Load():
		return 0, false, nil
	}
	for _, p := range ps {
		size := len(p.Data) + waitingOverhead
		if a.bytes+size > a.hop.queue {
			continue
		}
		a.bytes += size
		a.waiting = append(a.waiting, core.Packet{Addr: p.Addr, Data: append([]byte(nil), p.Data...)})
		kept++
	}
	a.flow.Drop(core.DropWaiting, len(ps)-kept)
	return kept, true, nil
}

// Receive passes the relay's datagrams to sink. What is none, or comes from another address,
// is dropped.
func (a *association) Receive(sink core.PacketSink) {
	a.wire.Receive(func(ps []core.Packet) {
		n := 0
		for i := range ps {
			p, err := a.answer(ps[i])
			if err != nil {
				a.flow.Drop(core.DropAuth, 1)
				continue
			}
			ps[n] = p
			n++
		}
		if n > 0 {
			sink(ps[:n])
		}
	})
}

// answer returns what a datagram of the relay has: the data, and the true source.
func (a *association) answer(p core.Packet) (core.Packet, error) {
	if !a.fromRelay(p.Addr) {
		return core.Packet{}, core.ErrAuth
	}
	rest, err := socksaddr.CutDatagram(p.Data)
	if err != nil {
		return core.Packet{}, err
	}
	source, n, err := a.hop.sources.Decode(rest)
	if err != nil {
		return core.Packet{}, err
	}
	return core.Packet{Addr: source, Data: rest[n:]}, nil
}

// fromRelay reports whether a datagram from an address is the relay's. If only the relay's
// name is known, its address is the first that sends from its port.
func (a *association) fromRelay(from core.Addr) bool {
	if source := a.source.Load(); source != nil {
		return *source == from
	}
	relay := a.relay.Load()
	if relay == nil || relay.Port() != from.Port() {
		return false
	}
	return a.source.CompareAndSwap(nil, &from) || *a.source.Load() == from
}

// Close ends the association, and the server's.
func (a *association) Close() error {
	a.mu.Lock()
	a.closed, a.waiting = true, nil
	control := a.control
	a.mu.Unlock()
	a.cancel()
	if control != nil {
		_ = control.Close()
	}
	return a.wire.Close()
}
