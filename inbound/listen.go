package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// lookupTimeout bounds the lookup of one name to listen on.
const lookupTimeout = 10 * time.Second

// leases leases a socket for each address of a list. Addresses of a name that this machine
// does not have are left out, if it has others. With an error leases returns what it has
// leased too, which the caller closes.
type leases[L any] struct {
	env      core.Env
	network  core.Network
	lease    func(ctx context.Context, at netip.AddrPort, o netio.SocketOptions) (L, error)
	options  netio.SocketOptions
	resolver core.Resolver // nil for the operating system's
	carrier  core.Carrier  // accepts in place of the inbound; nil for none

	taken map[netip.AddrPort]bool
	all   []L
}

// ListenPackets leases a UDP socket for each address of a list. With an error it returns what
// it has leased too, which the caller closes. Its errors name the elements of the list.
func ListenPackets(ctx context.Context, env core.Env, list option.ListenList, o netio.SocketOptions) ([]*netio.PacketListener, error) {
	return listenPackets(ctx, env, list, o, nil)
}

// listenPackets is ListenPackets, behind a carrier if that is not nil.
func listenPackets(ctx context.Context, env core.Env, list option.ListenList, o netio.SocketOptions, carrier core.Carrier) ([]*netio.PacketListener, error) {
	of := leases[*netio.PacketListener]{env: env, network: core.UDP, lease: netio.SocketsOf(env.Process).ListenPacketsWith, options: o, carrier: carrier}
	return of.of(ctx, list)
}

// of leases the sockets of all addresses. Its errors name the elements of the list.
func (s *leases[L]) of(ctx context.Context, list option.ListenList) ([]L, error) {
	s.taken = map[netip.AddrPort]bool{}
	var errs []error
	for i, l := range list {
		for _, err := range s.element(ctx, l) {
			errs = append(errs, &core.OptionError{Key: core.OptionKey("listen", strconv.Itoa(i)), Err: err})
		}
	}
	return s.all, errors.Join(errs...)
}

// element leases the sockets of one element of the list.
func (s *leases[L]) element(ctx context.Context, l option.Listen) []error {
	if l.Name() != "" {
		return s.name(ctx, l)
	}
	if err := s.one(ctx, l.AddrPort()); err != nil {
		return []error{err}
	}
	return nil
}

// one leases the socket of one address, once.
func (s *leases[L]) one(ctx context.Context, at netip.AddrPort) error {
	if s.taken[at] {
		return nil
	}
	behind, err := at, error(nil)
	if s.carrier != nil {
		behind, err = s.carrier.Behind(at)
	}
	if err != nil {
		return err
	}
	l, err := s.lease(ctx, behind, s.options)
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL) && !s.options.FreeBind:
		return fmt.Errorf("%w: this machine does not have the address; if it gets it later, set free_bind = true", err)
	case err != nil:
		return err
	}
	s.taken[at] = true
	s.all = append(s.all, l)
	return nil
}

// name leases the sockets of all addresses of a name.
func (s *leases[L]) name(ctx context.Context, l option.Listen) []error {
	ips, err := s.lookUp(ctx, l)
	if err != nil {
		return []error{err}
	}
	var errs []error
	missing := map[netip.AddrPort]error{}
	for _, ip := range ips {
		at := netip.AddrPortFrom(ip, l.Port())
		switch err := s.one(ctx, at); {
		case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
			missing[at] = err
		case err != nil:
			errs = append(errs, err)
		}
	}
	for at, err := range missing {
		if len(missing) == len(ips) {
			errs = append(errs, err)
			continue
		}
		level := slog.LevelWarn
		if at.Addr().IsLoopback() { // a machine without IPv6
			level = slog.LevelInfo
		}
		s.env.Log.LogAttrs(ctx, level, "an address of the name in listen is left out: this machine does not have it",
			slog.String("listen", l.String()), slog.Any("address", at), slog.String("network", string(s.network)))
	}
	return errs
}

// lookUp returns the addresses of a name. A name that stands for every address, as filters
// in name servers answer, would open the inbound to all networks, so it is refused.
func (s *leases[L]) lookUp(ctx context.Context, l option.Listen) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	resolver := s.resolver
	if resolver == nil {
		resolver = dial.System(s.env.Process)
	}
	ips, err := resolver.LookupIP(ctx, l.Name())
	if err == nil && len(ips) == 0 {
		err = errors.New("it has no addresses")
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: look up the name: %w", l, err)
	}
	for i, ip := range ips {
		if ips[i] = ip.Unmap(); ip.IsUnspecified() || ip.IsMulticast() {
			return nil, fmt.Errorf("listen on %s: the name leads to %s, which is no address of one machine; write the address", l, ip)
		}
	}
	return ips, nil
}
