package dial

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// OneOf returns the address of ips for a remote server to dial, if only one can be sent:
// the first IPv4 address or, if there is none, the first address. IPv4 is preferred
// because this process can't know whether the remote server has a route to IPv6. ips
// must not be empty.
func OneOf(ips []netip.Addr) netip.Addr {
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip
		}
	}
	return ips[0]
}

// OwnName resolves names that no server may be queried for: localhost and the names
// under it are loopback (RFC 6761 §6.3); names under invalid (§6.4) and, outside of Tor,
// onion (RFC 7686) don't exist. It returns false for other names.
func OwnName(name string) (ips []netip.Addr, ok bool, err error) {
	name = strings.TrimSuffix(name, ".")
	switch last := name[strings.LastIndexByte(name, '.')+1:]; {
	case strings.EqualFold(last, "localhost"):
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, true, nil
	case strings.EqualFold(last, "invalid"), strings.EqualFold(last, "onion"):
		return nil, true, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return nil, false, nil
}

const (
	// splitAfter is the time without an answer after which the families of a name are
	// looked up one by one too. A name server that drops the queries of one family
	// answers for the other at once, but the system waits for both: 10 s by default.
	splitAfter = 300 * time.Millisecond
	// splitDelay is the wait for the other family once one has addresses.
	splitDelay = 50 * time.Millisecond
)

// SystemResolver resolves names by the operating system. The zero value is ready, and
// has no bounds.
type SystemResolver struct {
	names  *Names                                                                // the bounds; nil for none
	lookup func(ctx context.Context, network, name string) ([]netip.Addr, error) // nil for package net's
}

var _ core.Teller = SystemResolver{}

// System returns the operating system's resolver under the bounds of the process.
func System(p *core.Process) SystemResolver { return SystemResolver{names: NamesOf(p)} }

// LookupIP returns the IPv4 and IPv6 addresses that other programs on this machine find
// for a name: by its hosts file, its name servers and its search domains. A name with a
// trailing dot is fully qualified: search domains are not applied. For the names of
// OwnName the operating system is not queried.
func (s SystemResolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	if ips, ok, err := OwnName(name); ok {
		return ips, err
	}
	asker := AskerOf(ctx)
	if err := s.names.acquire(ctx, asker, name); err != nil {
		return nil, err
	}
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	if uncancellable {
		under = context.WithoutCancel(ctx)
	}
	l := systemLookup{SystemResolver: s, asker: asker, ctx: under, results: make(chan found, 3)}
	l.start("ip", name)
	return l.wait(ctx, name)
}

// systemLookup is one lookup by the operating system: of both families at once and, if
// that takes long, of each family alone.
type systemLookup struct {
	SystemResolver
	asker   Asker
	ctx     context.Context
	results chan found // capacity for all, so that no send blocks
}

// found is the result of the lookup of "ip", "ip4" or "ip6".
type found struct {
	network string
	ips     []netip.Addr
	err     error
}

// start starts a lookup, for which a slot was taken.
func (l *systemLookup) start(network, name string) {
	lookup := l.lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	go func() {
		defer l.names.release(l.asker)
		ips, err := lookup(l.ctx, network, name)
		for i, ip := range ips {
			ips[i] = ip.Unmap()
		}
		l.results <- found{network, ips, err}
	}()
}

// split looks up each family alone. A name without a dot is not split: its search
// domains could give two names for the two families. Neither are those of other names
// searched, for the same reason.
func (l *systemLookup) split(name string) {
	name = strings.TrimSuffix(name, ".")
	if !strings.Contains(name, ".") {
		return
	}
	for _, network := range [...]string{"ip4", "ip6"} {
		if l.names.try(l.asker) {
			l.start(network, name+".")
		}
	}
}

// wait waits for both families, or for one if the other takes long.
func (l *systemLookup) wait(ctx context.Context, name string) ([]netip.Addr, error) {
	timer := time.NewTimer(splitAfter)
	defer timer.Stop()
	split := false
	var ips []netip.Addr // of the families that were looked up alone
	for {
		select {
		case f := <-l.results:
			switch {
			case f.network == "ip" && f.err != nil && len(ips) > 0:
				return ips, nil
			case f.network == "ip":
				return f.ips, f.err
			case f.err != nil || len(f.ips) == 0: // the lookup of both decides
			case len(ips) > 0:
				return inOrder(ips, f.ips), nil
			default:
				ips = f.ips
				timer.Reset(splitDelay)
			}
		case <-timer.C:
			if split {
				return ips, nil // the timer is set again only for addresses
			}
			split = true
			l.split(name)
		case <-ctx.Done():
			return nil, &net.DNSError{
				Err: "no answer by the operating system in time", UnwrapErr: ctx.Err(), Name: name,
				IsTimeout: ctx.Err() == context.DeadlineExceeded,
			}
		}
	}
}

// inOrder returns the addresses of two families, those of IPv6 first where this machine
// has a route to it.
func inOrder(a, b []netip.Addr) []netip.Addr {
	if a[0].Is4() == new(Routes).IPv6() {
		a, b = b, a
	}
	return append(append(make([]netip.Addr, 0, len(a)+len(b)), a...), b...)
}

// Tell returns the addresses with the operating system as their source.
func (s SystemResolver) Tell(ctx context.Context, name string) ([]core.Found, error) {
	ips, err := s.LookupIP(ctx, name)
	all := make([]core.Found, len(ips))
	for i, ip := range ips {
		all[i] = core.Found{IP: ip, From: "the operating system"}
	}
	return all, err
}
