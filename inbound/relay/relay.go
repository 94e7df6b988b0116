// Package relay is the inbound of a Shadowsocks relay. It forwards requests to other
// servers by their identity headers (SIP023), without the keys of the users.
package relay

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// Options are the keys of an [inbound.x] table of kind "relay".
type Options struct {
	_ core.About `help:"forwards requests of a 2022 method to other servers, by their identity headers and without the users' keys"`
	inbound.Options
	inbound.Rejection
	Cipher core.Ref[core.Cipher] `toml:"cipher" required:"true" help:"the [cipher.x] whose password is the relay's own identity key"`
	Next   map[string]Next       `toml:"next" required:"true" help:"the servers to forward to, by a name for the log"`
}

// Next is a server to forward to.
type Next struct {
	Key    option.Text   `toml:"key" required:"true" help:"the server's own key: its identity key, or its only one"`
	Server option.Server `toml:"server" required:"true" help:"host and port"`
}

// patience is the least default of the handshake timeout for reject = "drain". A next
// server waits for 75 s at the most, so the relay ends a connection after the next server
// has, at the time at which it ends connections that it refuses itself.
const patience = 75 * time.Second

// New returns the inbound.
func New(env core.Env, o Options) (core.Inbound, error) {
	c, err := o.Cipher.Get(env)
	if err != nil {
		return nil, err
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = option.Duration(ownPatience(o.Rejection, c))
	}
	rejecter, err := inbound.NewRejecter(env, o.Rejection)
	if err != nil {
		return nil, err
	}
	r, err := newRelay(c, o.Next)
	if err != nil {
		return nil, err
	}
	r.Rejecter, r.timeout = rejecter, o.HandshakeTimeout.Std()
	streams, err := inbound.New(env, o.Options, r)
	if err != nil || !o.Mode.Packets() {
		return streams, err
	}
	packets, err := inbound.NewPacketServer(env, o.Options, packets{r})
	if err != nil {
		return nil, err
	}
	if !o.Mode.Streams() {
		return packets, nil
	}
	return inbound.Both(streams, packets), nil
}

// ownPatience returns the default handshake timeout: 75 to 90 s, derived from the key,
// or a sixth of it if the rejection shortens the timeout of the next servers so.
func ownPatience(r inbound.Rejection, c core.Cipher) time.Duration {
	full := ending.Patience(c)
	own := patience + (full-45*time.Second)/2
	return own / (full / r.Patience(c))
}

// relay is the Handshaker.
type relay struct {
	*inbound.Rejecter
	identity core.IdentityRelay
	next     []*next
	timeout  time.Duration // of a handshake
}

// next is a server to forward to.
type next struct {
	name   string
	server core.Addr
}

// LeastRequest returns how many bytes the identity relay needs. It implements
// core.RequestSizer.
func (r *relay) LeastRequest() int { return r.LeastOf(r.identity) }

func newRelay(c core.Cipher, servers map[string]Next) (*relay, error) {
	rc, ok := c.(core.RelayCipher)
	if !ok {
		return nil, core.BadOption("cipher", "the method %s has no identity headers; use 2022-blake3-aes-128-gcm or 2022-blake3-aes-256-gcm", c.Method())
	}
	if len(servers) == 0 {
		return nil, core.BadOption("next", "no server to forward to")
	}
	r := &relay{}
	var keys []core.NextServer
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		n := servers[name]
		r.next = append(r.next, &next{name, n.Server.Addr()})
		keys = append(keys, core.NextServer{Name: name, Key: n.Key.Reveal()})
	}
	var err error
	if r.identity, err = rc.NewRelay(keys); err != nil {
		return nil, &core.OptionError{Key: "next", Err: err}
	}
	return r, nil
}

// Handshake reads a request up to the identity header that names the server. A valid
// header does not authenticate the client: the request may be a replay, and the bytes
// after the header may be damaged.
func (r *relay) Handshake(ctx context.Context, conn core.Stream, c core.Client, next inbound.Requests) error {
	deadline := time.Now().Add(r.timeout)
	var to int
	var flight []byte
	err := r.Accept(ctx, conn, func(waits func([]byte)) (soFar []byte, err error) {
		to, flight, err = r.identity.AcceptFlight(conn, core.Caller{Addr: c.Addr, Waits: waits, Until: deadline, Ended: ctx.Done()})
		return flight, err
	})
	if err != nil {
		return err
	}
	request := &core.Request{User: r.next[to].name, Target: r.next[to].server, Payload: flight, Unproven: true}
	next.Stream(request, pending{r.Rejecter, conn, deadline})
	return nil
}

// pending is a client that waits for the next server. The protocol has no reply.
type pending struct {
	rejecter *inbound.Rejecter
	conn     core.Stream
	deadline time.Time
}

// Accept returns the connection with a delayed end, so that a client can't observe when
// the next server refuses a request.
func (p pending) Accept() (core.Stream, error) { return p.rejecter.Hold(p.conn, p.deadline), nil }

// Reject ends the connection as one whose header names no server.
func (p pending) Reject(error) { p.rejecter.FailLater(p.conn, p.deadline) }
