// Package direct is the outbound that connects to targets directly from this machine.
package direct

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of an [outbound.x] table of kind "direct".
type Options struct {
	_             core.About              `help:"connects to targets directly from this machine; to public addresses of other machines only, unless others are allowed"`
	Allow         []option.Prefix         `toml:"allow" help:"address ranges to allow that are denied by default: loopback, private, link-local, multicast and other non-public addresses, and this machine's own"`
	Resolver      core.Ref[core.Resolver] `toml:"resolver" help:"the [resolver.x] for targets' names, unless the chain has one; else the operating system's"`
	From          []option.Prefix         `toml:"from" help:"source addresses, of each family one or several; of a range each user, or client, has an address of their own. Targets of a family that is missing are refused"`
	Interface     string                  `toml:"interface" help:"the network interface that connections and datagrams leave by, such as a VPN's (SO_BINDTODEVICE; Linux)"`
	Mark          uint32                  `toml:"mark" help:"the firewall mark of what is sent, for routes and filters (SO_MARK; Linux, with CAP_NET_ADMIN)"`
	FastOpen      bool                    `toml:"fast_open" help:"first bytes that are there travel in the SYN, to targets that took them before (TCP Fast Open; Linux)"`
	ProxyProtocol int                     `toml:"proxy_protocol" default:"0" min:"0" max:"2" help:"the version, 1 or 2, of the PROXY header that gives each target the client's address; 0 for none"`
}

// Outbound connects to targets directly.
type Outbound struct {
	allow   []netip.Prefix
	from    sources
	headers bool // connections begin with a PROXY header
	sockets *netio.SocketSet
	nat64   *core.NAT64
	net     dial.Net
}

var (
	_ core.Outbound = (*Outbound)(nil)
	_ core.Dialer   = (*Outbound)(nil)
	_ core.Finder   = (*Outbound)(nil)
)

// New returns the outbound.
func New(env core.Env, o Options) (core.Outbound, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	d := &Outbound{sockets: netio.SocketsOf(env.Process), nat64: core.NAT64Of(env.Process)}
	for _, p := range o.Allow {
		d.allow = append(d.allow, p.Prefix)
	}
	d.net = dial.Net{Control: d.guard, Names: dial.NamesOf(env.Process), Loops: netio.LoopsOf(env.Process)}
	if err := d.setSocket(env.Name, o); err != nil {
		return nil, err
	}
	switch o.ProxyProtocol {
	case 1:
		d.net.Preamble = headerLine
	case 2:
		d.net.Preamble = binaryHeader
	}
	d.headers = o.ProxyProtocol != 0
	if o.Resolver == "" {
		return d, nil
	}
	var err error
	d.net.Asks = "resolver." + string(o.Resolver)
	if d.net.Resolver, err = o.Resolver.Get(env); err != nil {
		return nil, err
	}
	return d, nil
}

// Over returns the outbound itself for the first hop, and core.ErrFirstHop for a later
// hop: the outbound can't dial over another one.
func (d *Outbound) Over(wire core.Dialer) (core.Dialer, error) {
	if _, first := wire.(dial.Net); !first {
		return nil, core.ErrFirstHop
	}
	return d, nil
}

// DialStream connects to the target, racing its addresses. Each address is checked at
// the socket, in the form that the kernel receives, so no DNS answer and no spelling of
// an address bypasses the check. Its errors are marked by core.AtTarget, except for those
// of this machine and what the check denies: that is denied here, and goes no other way.
func (d *Outbound) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	s, err := d.netFor(r).DialStream(ctx, r)
	if errors.Is(err, syscall.EADDRNOTAVAIL) && len(d.from.v4)+len(d.from.v6) > 0 {
		err = fmt.Errorf("%w: does this machine have the addresses of from?", err)
	}
	if err != nil && !isOwn(err) && !errors.Is(err, core.ErrDenied) {
		err = core.AtTarget(err)
	}
	return s, err
}

// isOwn reports whether a dial failed for a reason of this machine.
func isOwn(err error) bool {
	for _, own := range []error{syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// Find returns the addresses of the target that a dial would be allowed.
func (d *Outbound) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	return d.net.Find(ctx, r)
}

// OpenPackets opens one socket for all targets of the association. Each datagram's
// address is checked as that of a connection is.
func (d *Outbound) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if err := d.CheckPackets(); err != nil {
		return nil, err
	}
	return d.netFor(r).OpenPackets(ctx, r)
}

// CheckPackets returns nil, or core.ErrNoPackets with proxy_protocol: datagrams carry
// no header, so targets would not get the client's address.
func (d *Outbound) CheckPackets() error {
	if d.headers {
		return fmt.Errorf("%w with proxy_protocol", core.ErrNoPackets)
	}
	return nil
}

// PayloadWait returns 0: the client gets the true result of the dial. First bytes that
// have arrived by then leave in one write with a PROXY header. Without first bytes the
// header does not wait, because many servers behind PROXY headers speak first.
func (d *Outbound) PayloadWait(*core.Request) time.Duration { return 0 }
