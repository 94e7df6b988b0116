package inbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// Rejection is the keys of an inbound that hides what it is from those without a
// key. Embed it in the kind's own options.
type Rejection struct {
	Reject option.Reject `toml:"reject" default:"drain" help:"what a connection gets that makes no request"`
	Decoy  option.Server `toml:"decoy" help:"host and port of a server that waits for its client to speak; with reject = \"forward\" it answers in our place"`
}

const (
	// sooner is how much sooner a connection ends that is closed or reset than one
	// that is drained.
	sooner = 6
	// decoyTimeout is how long the decoy may take to be reached.
	decoyTimeout = 10 * time.Second
	// decoyIdle is how long a connection with the decoy may move nothing: longer
	// than any server that is one waits.
	decoyIdle = 10 * time.Minute
)

// Patience returns how long a request may take under a cipher, unless the options
// say otherwise: as long as every server of that key takes, and less where nothing
// is gained by waiting for longer.
func (r Rejection) Patience(c core.Cipher) time.Duration {
	patience := ending.Patience(c)
	if r.Reject == option.RejectClose || r.Reject == option.RejectReset {
		patience /= sooner
	}
	return patience
}

// check returns what is wrong with the options.
func (r Rejection) check() error {
	switch {
	case r.Reject == option.RejectForward && !r.Decoy.Addr().IsValid():
		return core.BadOption("decoy", "missing; give the server that answers in our place")
	case r.Reject != option.RejectForward && r.Decoy.Addr().IsValid():
		return core.BadOption("decoy", "is for reject = %q alone", option.RejectForward)
	}
	return nil
}

// Rejecter ends the connections that made no request. All that fail get the same,
// whatever they sent, at a time that what they sent does not change.
type Rejecter struct {
	env     core.Env
	how     option.Reject
	decoy   core.Addr
	network core.Dialer
	held    holder
	decoys  *pipeline.Joiner
}

// NewRejecter returns the Rejecter that r describes. Its errors name the key to
// mend.
func NewRejecter(env core.Env, r Rejection) (*Rejecter, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	notUs := func(_ context.Context, network core.Network, to netip.AddrPort) error {
		if netio.SocketsOf(env.Process).Has(network, to) {
			return fmt.Errorf("%w: the decoy is this process itself", core.ErrDenied)
		}
		return nil
	}
	return &Rejecter{env: env, how: r.Reject, decoy: r.Decoy.Addr(), network: dial.Net{Control: notUs}, decoys: pipeline.NewJoiner(decoyIdle)}, nil
}

// Accept has read read a request from conn, as core.Cipher.AcceptStream does: it
// returns what it has read, unchanged, if that is none. read passes waits on. The
// error goes to Fail.
func (r *Rejecter) Accept(ctx context.Context, conn core.Stream, read func(waits func([]byte)) (soFar []byte, err error)) error {
	if r.how != option.RejectForward {
		_, err := read(nil)
		return err
	}
	m := &mirror{rejecter: r, ctx: ctx, client: conn}
	failed := false
	defer func() {
		if !failed { // or it panics
			m.drop()
		}
	}()
	soFar, err := read(m.waits)
	if err == nil {
		return nil
	}
	failed = true
	return &stranger{err, soFar, m}
}

// Fail ends a connection whose request Accept could not read, or that a policy
// refused. It implements Handshaker.
func (r *Rejecter) Fail(conn core.Stream, deadline time.Time, err error) {
	switch r.how {
	case option.RejectReset:
		ending.DrainReset(conn)
	case option.RejectForward:
		r.forward(conn, deadline, err)
	default:
		ending.Drain(conn)
	}
}

// forward gives a connection to the decoy. Where that can't be, it is drained; so is
// one whose time is over.
func (r *Rejecter) forward(conn core.Stream, deadline time.Time, cause error) {
	s, ok := errors.AsType[*stranger](cause)
	if !ok && errors.Is(cause, core.ErrDenied) { // nothing has been read
		s = &stranger{mirror: &mirror{rejecter: r, ctx: context.Background(), client: conn}}
	}
	switch {
	case s == nil: // what came is lost in a transport
	case !time.Now().Before(deadline):
		s.mirror.drop()
	default:
		decoy, answer, err := s.mirror.take(s.soFar)
		if err == nil {
			r.join(conn, decoy, answer)
			return
		}
		r.env.Log.Debug("no decoy", "decoy", r.decoy.String(), "err", err)
	}
	ending.Drain(conn)
}

// join relays between a client and the decoy, whose first bytes are answer.
func (r *Rejecter) join(conn, decoy core.Stream, answer []byte) {
	_ = conn.SetDeadline(time.Time{}) // from here on the decoy's own hold
	_ = r.decoys.Join(new(core.Flow), conn, netio.Unread(decoy, answer))
}

// stranger is the error of a connection that made no request.
type stranger struct {
	error
	soFar  []byte // what was read
	mirror *mirror
}

func (s *stranger) Unwrap() error { return s.error }
