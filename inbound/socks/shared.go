package socks

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/panics"
	"github.com/umbra-proxy/umbra/inbound"
)

// shared has the UDP sockets of an inbound whose associations have none of their own, on the
// addresses of TCP. It is the inbound of their datagrams.
type shared struct {
	env     core.Env
	listen  option.ListenList
	options netio.SocketOptions
	routes  *routes // kept by the process over a reload; nil until served
	memo    *memo
	sockets []*sharedSocket
	strays  core.Alarm // for datagrams of no association
}

// sharedSocket is one address of a shared.
type sharedSocket struct {
	*shared
	ln      *netio.PacketListener
	packets [netio.MaxBurst]core.Packet // scratch of receive, which runs for one burst of a socket at a time
}

func newShared(env core.Env, o inbound.Options, m *memo) *shared {
	s := &shared{env: env, listen: o.Listen, options: netio.SocketOptions{FreeBind: o.FreeBind}, memo: m}
	core.Keep(env, func(old *routes) *routes {
		if old == nil {
			old = newRoutes()
		}
		s.routes = old
		return old
	})
	return s
}

var _ core.PacketInbound = (*shared)(nil)

// Listen binds the addresses.
func (s *shared) Listen(ctx context.Context) error {
	listeners, err := inbound.ListenPackets(ctx, s.env, s.listen, s.options)
	for _, ln := range listeners {
		s.sockets = append(s.sockets, &sharedSocket{shared: s, ln: ln})
	}
	return err
}

// Listening returns the listening addresses. It may be called after Listen.
func (s *shared) Listening() []netip.AddrPort {
	var all []netip.AddrPort
	for _, socket := range s.sockets {
		all = append(all, socket.ln.Addr())
	}
	return all
}

// at returns the socket for the address of a control connection, or nil.
func (s *shared) at(local netip.AddrPort) *netio.UDPSocket {
	var found *netio.UDPSocket
	for _, socket := range s.sockets {
		switch at := socket.ln.Addr(); {
		case at == local:
			return socket.ln.Socket()
		case at.Port() == local.Port() && at.Addr().IsUnspecified() && (at.Addr().Is6() || local.Addr().Is4()):
			found = socket.ln.Socket()
		}
	}
	return found
}

// ServesPackets returns true.
func (*shared) ServesPackets() bool { return true }

// Serve receives datagrams until Shutdown. It returns as soon as a socket has failed; the
// others continue until Shutdown.
func (s *shared) Serve(context.Context, core.Handler) error {
	ended := make(chan error, len(s.sockets))
	panicked := func(err error) { panics.Log(s.env.Log, "datagrams panicked", err) }
	for _, socket := range s.sockets {
		go func() { ended <- socket.ln.Serve(socket.receive, panicked) }()
	}
	for range s.sockets {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// Shutdown stops receiving datagrams. If another generation has a lease of a socket, the
// associations on it continue, and that generation passes them their datagrams. Otherwise
// Shutdown cuts them.
func (s *shared) Shutdown(context.Context) error {
	for _, socket := range s.sockets {
		if !socket.ln.Close() || s.routes == nil {
			continue // routes is nil if the file was refused
		}
		for _, a := range s.routes.of(socket.ln.Socket()) {
			a.flow.Cut(core.ErrShutdown)
		}
	}
	return nil
}

// receive passes a burst of datagrams to their associations.
func (s *sharedSocket) receive(ds []netio.Datagram) {
	var to *associate
	n := 0
	deliver := func() {
		if n > 0 {
			to.deliver(s.packets[:n])
		}
		n = 0
	}
	for i := range ds {
		p, err := s.memo.parse(ds[i].Data)
		a := s.routes.find(s.ln.Socket(), ds[i].Peer, err == nil)
		if a != to || n == len(s.packets) {
			deliver()
			to = a
		}
		switch {
		case a == nil:
			s.stray(ds[i].Peer)
		case errors.Is(err, core.ErrDenied):
			a.flow.Drop(core.DropFragment, 1)
		case err != nil:
			a.flow.Drop(core.DropMalformed, 1)
		default:
			a.sentTo(ds[i].Peer, ds[i].Local)
			s.packets[n] = p
			n++
		}
	}
	deliver()
}

// stray counts a datagram that belongs to no association.
func (s *shared) stray(from netip.AddrPort) {
	if count, say := s.strays.Count(time.Now()); say {
		s.env.Log.LogAttrs(context.Background(), slog.LevelWarn, "datagrams dropped: they belong to no association",
			slog.Int("datagrams", count), slog.Any("client", from))
	}
}
