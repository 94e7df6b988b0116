package dial

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

var (
	_ core.Finder     = Net{}
	_ core.Finder     = resolving{}
	_ core.NameFinder = SystemResolver{}
)

// Find looks up the target of r. It returns those addresses that Control allows.
func (n Net) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	if r.Target.Name() == "" && len(r.IPs) == 0 {
		return n.findName(ctx, r.Target)
	}
	ips := r.IPs
	if len(ips) == 0 {
		var err error
		if ips, err = LookUp(ctx, r.Flow, n.asks(), n.resolver(), r.Target.Name()); err != nil {
			return core.Answer{}, err
		}
	}
	var open []netip.Addr
	var denied error
	for _, ip := range ips {
		if err := n.check(ctx, netip.AddrPortFrom(ip, r.Target.Port())); err != nil {
			denied = err
			continue
		}
		open = append(open, ip)
	}
	if len(open) == 0 {
		return core.Answer{}, denied
	}
	return core.Answer{IPs: open}, nil
}

// findName returns the name of an address, if Control allows the address.
func (n Net) findName(ctx context.Context, a core.Addr) (core.Answer, error) {
	f, ok := n.resolver().(core.NameFinder)
	if !ok {
		return core.Answer{}, core.ErrNoLookups
	}
	if err := n.check(ctx, netip.AddrPortFrom(a.IP(), a.Port())); err != nil {
		return core.Answer{}, err
	}
	name, err := f.LookupName(ctx, a.IP())
	return core.Answer{Name: name}, err
}

func (n Net) check(ctx context.Context, to netip.AddrPort) error {
	if n.Control == nil {
		return nil
	}
	return n.Control(ctx, core.TCP, to)
}

// Find resolves the target, unless an earlier stage has resolved it, and lets the next
// stage judge what was found. It finds no names of addresses: the next stage might ask
// another resolver.
func (m resolving) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	if len(r.IPs) > 0 {
		return core.Find(ctx, m.next, r)
	}
	if r.Target.Name() == "" {
		return core.Answer{}, core.ErrNoLookups
	}
	ips, err := LookUp(ctx, r.Flow, m.id, m.resolver, r.Target.Name())
	if err != nil {
		return core.Answer{}, err
	}
	known := *r
	known.IPs = ips
	return core.Find(ctx, m.next, &known)
}

// LookupName returns the name that the operating system has for an address.
func (s SystemResolver) LookupName(ctx context.Context, ip netip.Addr) (string, error) {
	text, asker := ip.String(), AskerOf(ctx)
	if err := s.names.acquire(ctx, asker, text); err != nil {
		return "", err
	}
	defer s.names.release(asker)
	names, err := net.DefaultResolver.LookupAddr(ctx, text)
	if err == nil && len(names) == 0 {
		err = &net.DNSError{Err: "no name", Name: text, IsNotFound: true}
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(names[0], "."), nil
}
