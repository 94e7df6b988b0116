package inbound

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/panics"
)

// PacketServer is a core.Inbound whose UDP clients share one socket for each address. The
// cipher determines the session of each datagram, whichever socket receives it.
type PacketServer struct {
	env      core.Env
	listen   option.ListenList
	options  netio.SocketOptions
	cipher   core.PacketServer
	original OriginalOpener // cipher, if it is one; else nil
	sessions *sessions      // kept by the process over a reload; nil until served
	carrier  core.Carrier   // nil for none
	sockets  []*packetSocket
	handler  atomic.Pointer[servingPackets]

	unopened, refused core.Alarm // for dropped datagrams
}

// packetSocket is one address of a PacketServer.
type packetSocket struct {
	*PacketServer
	ln    *netio.PacketListener
	burst [netio.MaxBurst]core.Packet // scratch of receive, which runs for one burst of a socket at a time
}

// servingPackets are the arguments of Serve.
type servingPackets struct {
	ctx context.Context
	h   core.Handler
}

var _ core.PacketInbound = (*PacketServer)(nil)

// NewPacketServer returns an inbound that serves datagrams under a cipher. Its errors
// name the key to correct.
func NewPacketServer(env core.Env, o Options, cipher core.PacketServer) (*PacketServer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	transports, err := o.transports(env)
	if err != nil {
		return nil, err
	}
	s := &PacketServer{env: env, listen: o.Listen, options: o.sockets(), carrier: core.CarrierOf(transports), cipher: cipher}
	s.original, _ = cipher.(OriginalOpener)
	core.Keep(env, func(old *sessions) *sessions {
		if old == nil {
			old = newSessions()
		}
		old.bound(budget.Of(env.Process).Sessions(o.MaxSessions), o.ClientSessions)
		s.sessions = old
		return old
	})
	return s, nil
}

// Listen binds the addresses.
func (s *PacketServer) Listen(ctx context.Context) error {
	listeners, err := listenPackets(ctx, s.env, s.listen, s.options, s.carrier)
	for _, ln := range listeners {
		s.sockets = append(s.sockets, &packetSocket{PacketServer: s, ln: ln})
	}
	return err
}

// Listening returns the listening addresses. It may be called after Listen.
func (s *PacketServer) Listening() []netip.AddrPort {
	var all []netip.AddrPort
	for _, socket := range s.sockets {
		all = append(all, socket.ln.Addr())
	}
	return all
}

// ServesPackets returns true.
func (*PacketServer) ServesPackets() bool { return true }

// Serve receives datagrams until Shutdown. It returns as soon as a socket has failed; the
// others continue until Shutdown.
func (s *PacketServer) Serve(ctx context.Context, h core.Handler) error {
	s.handler.Store(&servingPackets{ctx, h})
	ended := make(chan error, len(s.sockets))
	for _, socket := range s.sockets {
		go func() { ended <- socket.ln.Serve(socket.receive, s.panicked) }()
	}
	for range s.sockets {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// Shutdown stops receiving datagrams. If another generation has a lease of a socket, the
// sessions of that socket continue, and that generation passes them their datagrams.
// Otherwise Shutdown cuts them.
func (s *PacketServer) Shutdown(context.Context) error {
	for _, socket := range s.sockets {
		if !socket.ln.Close() || s.sessions == nil {
			continue // sessions is nil if the file was refused
		}
		for _, left := range s.sessions.of(socket.ln.Socket()) {
			left.flow.Cut(core.ErrShutdown)
		}
	}
	return nil
}

// receive opens a burst of datagrams and passes them to their sessions. A datagram that
// can't be opened is dropped without an answer, because its source may be forged.
func (s *packetSocket) receive(ds []netio.Datagram) {
	now := time.Now()
	var to *session
	var of sessionKey
	n := 0
	for i := range ds {
		o, err := s.open(&ds[i])
		if err != nil {
			s.logDropped(ds[i].Peer, len(ds[i].Data), err)
			s.warn(&s.unopened, now, "datagrams dropped: they can't be opened", ds[i].Peer, err)
			continue
		}
		key := sessionKey{session: o.Session}
		if !s.cipher.Roams() {
			key.client = ds[i].Peer
		}
		if to == nil || key != of || n == len(s.burst) {
			s.deliver(to, n)
			to, of, n = s.session(key, &ds[i], now), key, 0
		}
		if to == nil || s.cipher.Roams() && !to.admits(ds[i].Peer) {
			s.warn(&s.refused, now, "datagrams dropped: their clients were refused", ds[i].Peer, nil)
			continue
		}
		to.received(s.ln.Socket(), &ds[i], o.Target, now)
		s.burst[n] = core.Packet{Addr: o.Target, Data: o.Payload}
		n++
	}
	s.deliver(to, n)
}

// OriginalOpener is a core.PacketServer that takes the destination of a datagram as its
// target. Its sockets have the option OriginalDestination.
type OriginalOpener interface {
	core.PacketServer
	// OpenTo is Open for a datagram that was sent to an address.
	OpenTo(wire []byte, from, to netip.AddrPort) (core.OpenedPacket, error)
}

// Answerer is a core.PacketSession that sends answers to clients by sockets of its own.
type Answerer interface {
	core.PacketSession
	// Answer sends answers to a client. It counts those that can't be sent, and keeps
	// neither ps nor their Data.
	Answer(flow *core.Flow, client netip.AddrPort, ps []core.Packet) (sent int, err error)
}

// open opens a datagram.
func (s *PacketServer) open(d *netio.Datagram) (core.OpenedPacket, error) {
	if s.original != nil {
		return s.original.OpenTo(d.Data, d.Peer, d.Original)
	}
	return s.cipher.Open(d.Data, d.Peer)
}

// deliver passes the first n datagrams of s.burst to their session.
func (s *packetSocket) deliver(to *session, n int) {
	if n > 0 {
		to.deliver(s.burst[:n])
	}
}

// session returns the session of a datagram. It creates a session if there is none, and
// returns nil if the session is refused.
func (s *packetSocket) session(key sessionKey, d *netio.Datagram, now time.Time) *session {
	if known := s.sessions.find(key); known != nil {
		return known
	}
	s.sessions.creating.Lock()
	defer s.sessions.creating.Unlock()
	if known := s.sessions.find(key); known != nil { // by a datagram to another address
		return known
	}
	on := s.handler.Load()
	client := core.Client{Addr: d.Peer, Network: core.UDP, Inbound: s.env.Name}
	if err := on.h.Admit(client); err != nil {
		key.session.Close()
		return nil
	}
	fresh := &session{
		table: s.sessions, socket: s.ln.Socket(), key: key, source: core.SourceOf(d.Peer.Addr()), flow: new(core.Flow),
		peer: d.Peer, local: d.Local, used: now, unbounded: s.cipher.Roams(), // such a cipher refuses replays
	}
	for _, old := range s.sessions.add(fresh, now, budget.Of(s.env.Process).Crowded(core.UDP)) {
		old.flow.Cut(core.ErrCrowded)
	}
	r := &core.Request{
		ID: s.env.Process.NextID(), Network: core.UDP, Client: client, User: key.session.User(), Flow: fresh.flow,
		Accepted: now, Admitted: time.Now(),
	}
	if g, ok := key.session.(core.GrantedSession); ok {
		r.Grant = g.Grant()
	}
	fresh.setAssociation(on.h.HandlePackets(on.ctx, r, fresh, nil))
	return s.sessions.find(key) // nil if the session was rejected
}

// logDropped logs, at debug level, a datagram that could not be opened.
func (s *PacketServer) logDropped(from netip.AddrPort, size int, err error) {
	if ctx := context.Background(); s.env.Log.Enabled(ctx, slog.LevelDebug) {
		s.env.Log.LogAttrs(ctx, slog.LevelDebug, "datagram dropped",
			slog.Any("client", from), slog.Int("bytes", size), slog.Any("err", err))
	}
}

// warn counts a dropped datagram, which belongs to no association, and logs the first one
// and then, once a minute, how many there were.
func (s *PacketServer) warn(a *core.Alarm, now time.Time, text string, from netip.AddrPort, err error) {
	count, say := a.Count(now)
	if !say {
		return
	}
	attrs := []slog.Attr{slog.Int("datagrams", count), slog.Any("client", from)}
	if err != nil {
		attrs = append(attrs, slog.String("reason", core.ReasonOf(err)), slog.Any("err", err))
	}
	s.env.Log.LogAttrs(context.Background(), slog.LevelWarn, text, attrs...)
}

// panicked logs a panic during the serving of a burst.
func (s *PacketServer) panicked(err error) {
	panics.Log(s.env.Log, "datagrams panicked", err)
}
