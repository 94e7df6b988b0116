package dial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// ToServer returns a Dialer for a server over wire, whose streams are carried by the
// transports, from the wire up. If r is not nil, it finds the addresses of the server's name;
// id names it in the steps of requests.
func ToServer(wire core.Dialer, server core.Addr, id string, r core.Resolver, transports []core.Transport) (core.Dialer, error) {
	if c := core.CarrierOf(transports); c != nil {
		if _, bare := wire.(Net); !bare {
			return nil, errors.New("its transport is a program that reaches the server by itself, whatever stands before it; move it to the front of the chain, or take the transport away")
		}
		if r != nil {
			return nil, fmt.Errorf("its transport is a program that looks the server up by itself, so %s would not be asked; leave resolver out, or write an address in server", id)
		}
		wire, transports = c.Carry(wire, server), transports[1:]
	}
	wire = WithResolver(wire, id, r)
	if len(transports) == 0 {
		return wire, nil
	}
	return carried{wire: wire, transports: transports}, nil
}

// carried is a Dialer over wire and transports.
type carried struct {
	wire       core.Dialer
	transports []core.Transport
}

// DialStream dials the wire without a payload, starts the transports over the
// connection and sends the payload through them, or what of it the handshake of the last one
// does not carry.
func (c carried) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	under := *r
	under.Payload = nil
	s, err := c.wire.DialStream(ctx, &under)
	if err != nil {
		return nil, err
	}
	first := r.Payload
	for i, t := range c.transports {
		var over core.Stream
		early, ok := t.(core.EarlyTransport)
		if ok && len(first) > 0 && i == len(c.transports)-1 {
			var n int
			over, n, err = early.ClientEarly(ctx, s, r.Target, first)
			first = first[n:]
		} else {
			over, err = t.Client(ctx, s, r.Target)
		}
		if err != nil {
			s.Close()
			return nil, err
		}
		s = over
	}
	if err := WriteFirst(ctx, s, first); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// OpenPackets returns an ErrNoPackets: a transport carries streams only, and datagrams
// must not bypass the transport unprotected.
func (c carried) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, c.CheckPackets()
}

// CheckPackets returns an ErrNoPackets.
func (carried) CheckPackets() error { return fmt.Errorf("%w over a transport", core.ErrNoPackets) }

func (c carried) PayloadWait(r *core.Request) time.Duration { return c.wire.PayloadWait(r) }
