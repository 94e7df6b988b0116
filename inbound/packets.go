package inbound

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// PacketServer is an inbound whose UDP clients share one socket: each datagram
// names its session under a cipher. It is a core.Inbound.
type PacketServer struct {
	env      core.Env
	listen   netip.AddrPort
	cipher   core.PacketServer
	sessions *sessions // of the process, so that they outlive a reload; nil until served
	ln       *netio.PacketListener
	handler  atomic.Pointer[servingPackets]

	burst [netio.MaxBurst]core.Packet // scratch of receive, which has one burst at a time
}

// servingPackets is what Serve was called with.
type servingPackets struct {
	ctx context.Context
	h   core.Handler
}

var _ core.PacketInbound = (*PacketServer)(nil)

// NewPacketServer returns an inbound that takes datagrams under a cipher. Its
// errors name the key to mend.
func NewPacketServer(env core.Env, o Options, cipher core.PacketServer) (*PacketServer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &PacketServer{env: env, listen: o.Listen.AddrPort(), cipher: cipher}
	core.Keep(env, func(old *sessions) *sessions {
		if old == nil {
			old = newSessions()
		}
		old.bound(min(o.MaxSessions, 2*netio.DescriptorShare()), o.ClientSessions) // each has a descriptor at the least
		s.sessions = old
		return old
	})
	return s, nil
}

// Listen binds the address.
func (s *PacketServer) Listen(ctx context.Context) error {
	ln, err := netio.SocketsOf(s.env.Process).ListenPackets(ctx, s.listen)
	if err != nil {
		return &core.OptionError{Key: "listen", Err: err}
	}
	s.ln = ln
	return nil
}

// Listening returns the address that is listened on, after Listen.
func (s *PacketServer) Listening() netip.AddrPort { return s.ln.Addr() }

// ServesPackets returns true.
func (*PacketServer) ServesPackets() bool { return true }

// Serve takes datagrams until Shutdown.
func (s *PacketServer) Serve(ctx context.Context, h core.Handler) error {
	s.handler.Store(&servingPackets{ctx, h})
	return s.ln.Serve(s.receive, s.panicked)
}

// Shutdown takes no more datagrams. Sessions go on for as long as another
// generation has the socket; it passes theirs on to them.
func (s *PacketServer) Shutdown(context.Context) error {
	if s.ln == nil || !s.ln.Close() || s.sessions == nil {
		return nil // without sessions the file was refused
	}
	for _, left := range s.sessions.of(s.ln.Socket()) {
		left.flow.Cut(core.ErrShutdown)
	}
	return nil
}

// receive opens a burst of datagrams and gives each session its own. One that
// can't be opened is dropped without a word: its source may be forged.
func (s *PacketServer) receive(ds []netio.Datagram) {
	now := time.Now()
	var to *session
	var of sessionKey
	n := 0
	for i := range ds {
		o, err := s.cipher.Open(ds[i].Data, ds[i].Peer)
		if err != nil {
			s.dropped(ds[i].Peer, len(ds[i].Data), err)
			continue
		}
		key := sessionKey{session: o.Session}
		if !s.cipher.Roams() {
			key.client = ds[i].Peer
		}
		if to == nil || key != of || n == len(s.burst) {
			s.give(to, n)
			to, of, n = s.session(key, &ds[i], now), key, 0
		}
		if to == nil || s.cipher.Roams() && !to.follow(ds[i].Peer) {
			continue
		}
		to.came(&ds[i], o.Target, now)
		s.burst[n] = core.Packet{Addr: o.Target, Data: o.Payload}
		n++
	}
	s.give(to, n)
}

// give passes the first n datagrams of the scratch on to their session.
func (s *PacketServer) give(to *session, n int) {
	if n > 0 {
		to.give(s.burst[:n])
	}
}

// session returns the session that a datagram belongs to, a new one if need be,
// or nil if it is refused.
func (s *PacketServer) session(key sessionKey, d *netio.Datagram, now time.Time) *session {
	if known := s.sessions.find(key); known != nil {
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
		peer: d.Peer, local: d.Local, used: now, unbounded: s.cipher.Roams(), // which goes by sessions and times
	}
	for _, old := range s.sessions.add(fresh, now) {
		old.flow.Cut(core.ErrCrowded)
	}
	r := &core.Request{
		ID: s.env.Process.NextID(), Network: core.UDP, Client: client, User: key.session.User(), Flow: fresh.flow, Accepted: now,
	}
	if g, ok := key.session.(core.GrantedSession); ok {
		r.Grant = g.Grant()
	}
	fresh.serve(on.h.HandlePackets(on.ctx, r, fresh, nil))
	return s.sessions.find(key) // nil if it was rejected
}

// dropped tells a person who looks for it of a datagram that was no one's.
func (s *PacketServer) dropped(from netip.AddrPort, size int, err error) {
	if ctx := context.Background(); s.env.Log.Enabled(ctx, slog.LevelDebug) {
		s.env.Log.LogAttrs(ctx, slog.LevelDebug, "datagram dropped",
			slog.Any("client", from), slog.Int("bytes", size), slog.Any("err", err))
	}
}

// panicked logs what ended the serving of one burst.
func (s *PacketServer) panicked(err error) {
	panics.Log(s.env.Log, "datagrams panicked", err)
}
