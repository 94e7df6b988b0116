package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Net is the Dialer under the first hop of each chain. It dials servers from the
// configuration, so it checks no address unless Control is set. The zero Net resolves
// names by the operating system.
type Net struct {
	Resolver core.Resolver // nil for the operating system's
	Asks     string        // names Resolver in the steps of requests, as "resolver.x"
	Names    *Names        // the bounds on lookups of the process; nil for the defaults of UDP and no others
	Control  Control       // nil for none
	Preamble Preamble      // nil for none
	Socket   netio.SocketOptions
	Loops    *netio.Loops // finds requests that come back to this process; nil for none
}

// Preamble returns the first bytes of a connection that was dialled for r to the
// address to. They are sent before r.Payload, in one write with it.
type Preamble func(r *core.Request, to netip.AddrPort) []byte

// Control is called with each address before a socket connects to it, or before a
// datagram is sent to it. An error denies the address.
type Control func(ctx context.Context, network core.Network, to netip.AddrPort) error

var _ core.Dialer = Net{}

// DialStream connects to r.Target and writes r.Payload.
func (n Net) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	ips, err := n.addresses(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(r.Payload) == 0 && n.Preamble == nil {
		n.Socket.FastOpen = false // there is nothing to send with the SYN, and the true result is worth more
	}
	conn, err := Race(ctx, ips, r.Target.Port(), func(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) { return n.dial(ctx, r, to) })
	if err != nil {
		return nil, err
	}
	first := r.Payload
	if n.Preamble != nil {
		first = append(n.Preamble(r, netio.RemoteAddr(conn)), first...)
	}
	if err := WriteFirst(ctx, conn, first); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// WriteFirst writes the first bytes of a stream within ctx's deadline. Its error is marked
// by core.Sent.
func WriteFirst(ctx context.Context, s core.Stream, first []byte) error {
	if len(first) == 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetWriteDeadline(deadline)
		defer s.SetWriteDeadline(time.Time{})
	}
	if _, err := s.Write(first); err != nil {
		return core.Sent(err)
	}
	return nil
}

// WithResolver returns a Dialer over wire that resolves the names of targets, such as an
// outbound's own server, by r, which id names in the steps of requests. If r is nil it
// returns wire.
func WithResolver(wire core.Dialer, id string, r core.Resolver) core.Dialer {
	if r == nil {
		return wire
	}
	if n, ok := wire.(Net); ok {
		n.Resolver, n.Asks = r, id
		return n
	}
	return Named(id, Resolve(r, nil)).Wrap(wire)
}

// PayloadWait returns 0: a bare connection has no header that could share a packet with
// the payload.
func (n Net) PayloadWait(*core.Request) time.Duration { return 0 }

func (n Net) dial(ctx context.Context, r *core.Request, to netip.AddrPort) (*net.TCPConn, error) {
	defer n.Loops.Dialling(to)()
	d := net.Dialer{KeepAlive: -1, ControlContext: n.controlSocket()} // see stream.lasts in core/pipeline
	if source := n.Socket.Source(to.Addr()); source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	// Not d.DialTCP: without a local address DialTCP binds to an unspecified address,
	// and the kernel then searches a port that is free for every destination. With
	// many connections in TIME_WAIT that is slow, and fails in the end. A source
	// address is bound without a port.
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	n.Loops.Dialled(r, tcp)
	return tcp, nil
}

// resolver returns the Resolver, or that of the operating system.
func (n Net) resolver() core.Resolver {
	if n.Resolver == nil {
		return SystemResolver{names: n.Names}
	}
	return n.Resolver
}

// asks names the resolver in the steps of requests.
func (n Net) asks() string {
	if n.Resolver == nil {
		return "the operating system"
	}
	return n.Asks
}

// addresses returns the IP addresses of r.Target.
func (n Net) addresses(ctx context.Context, r *core.Request) ([]netip.Addr, error) {
	switch {
	case r.Target.Port() == 0:
		return nil, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, r.Target)
	case len(r.IPs) > 0:
		return r.IPs, nil
	case r.Target.IP().IsValid():
		return []netip.Addr{r.Target.IP()}, nil
	}
	return LookUp(ctx, r.Flow, n.asks(), n.resolver(), r.Target.Name())
}
