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

// Rejection are the keys of an inbound that hides its protocol from clients without a
// key. A kind embeds them in its own options.
type Rejection struct {
	Reject option.Reject `toml:"reject" default:"drain" help:"how a connection without a valid request ends"`
	Decoy  option.Server `toml:"decoy" help:"host and port of a server that waits for its client to speak; with reject = \"forward\" it answers in place of this server"`
}

const (
	// closeFactor is the quotient of the timeouts of reject = "drain" and of "close"
	// and "reset".
	closeFactor = 6
	// decoyTimeout bounds the dial to the decoy.
	decoyTimeout = 10 * time.Second
	// decoyIdle is the idle timeout of a connection with the decoy. It is longer than
	// the timeouts of servers that are used as decoys.
	decoyIdle = 10 * time.Minute
)

// Patience returns the default handshake timeout under a cipher: ending.Patience, which
// is the same for all servers with that key, or a sixth of it for reject = "close" and
// "reset", where a longer wait has no use.
func (r Rejection) Patience(c core.Cipher) time.Duration {
	patience := ending.Patience(c)
	if r.Reject == option.RejectClose || r.Reject == option.RejectReset {
		patience /= closeFactor
	}
	return patience
}

// check validates the options.
func (r Rejection) check() error {
	switch {
	case r.Reject == option.RejectForward && !r.Decoy.Addr().IsValid():
		return core.BadOption("decoy", "missing; give the server that answers in place of this one")
	case r.Reject != option.RejectForward && r.Decoy.Addr().IsValid():
		return core.BadOption("decoy", "is for reject = %q alone", option.RejectForward)
	}
	return nil
}

// Rejecter ends connections without a valid request. It treats all of them alike: the
// way and the time of the end do not depend on the bytes that the client sent.
type Rejecter struct {
	env     core.Env
	how     option.Reject
	decoy   core.Addr
	network core.Dialer
	held    *holder
	decoys  *pipeline.Joiner
}

// NewRejecter returns the Rejecter that r describes. Its errors name the key to correct.
func NewRejecter(env core.Env, r Rejection) (*Rejecter, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	notOwnSocket := func(_ context.Context, network core.Network, to netip.AddrPort) error {
		if netio.SocketsOf(env.Process).Has(network, to) {
			return fmt.Errorf("%w: the decoy is this process itself", core.ErrDenied)
		}
		return nil
	}
	return &Rejecter{env: env, how: r.Reject, decoy: r.Decoy.Addr(), network: dial.Net{Control: notOwnSocket, Names: dial.NamesOf(env.Process)}, held: newHolder(env.Process), decoys: pipeline.NewJoiner(decoyIdle)}, nil
}

// Accept calls read, which reads a request from conn as core.Cipher.AcceptStream does
// and passes waits on as Caller.Waits. If the request is invalid, read returns an error
// and the bytes read so far, unchanged. The caller passes the error of Accept to Fail.
func (r *Rejecter) Accept(ctx context.Context, conn core.Stream, read func(waits func([]byte)) (soFar []byte, err error)) error {
	if r.how != option.RejectForward {
		soFar, err := read(nil)
		return NoteProxyHeader(err, soFar)
	}
	m := &mirror{rejecter: r, ctx: ctx, client: conn}
	failed := false
	defer func() {
		if !failed { // success or a panic
			m.drop()
		}
	}()
	soFar, err := read(m.waits)
	if err == nil {
		return nil
	}
	failed = true
	return &invalidRequest{NoteProxyHeader(err, soFar), soFar, m}
}

// LeastOf returns how many bytes of a request a cipher or an identity relay needs, or 0
// if that is not known, or a decoy answers an incomplete request.
func (r *Rejecter) LeastOf(c any) int {
	if s, ok := c.(core.RequestSizer); ok && r.how != option.RejectForward {
		return s.LeastRequest()
	}
	return 0
}

// descriptors returns how many descriptors a stranger has at most: with a decoy two.
func (r *Rejecter) descriptors() int {
	if r.how == option.RejectForward {
		return 2
	}
	return 1
}

// Fail ends a connection whose request was invalid, or whose client a policy refused. err
// is the error of Accept or of the policy. Fail implements Handshaker.
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

// forward relays a connection to the decoy. If the decoy can't be reached, or the
// deadline has passed, forward drains the connection.
func (r *Rejecter) forward(conn core.Stream, deadline time.Time, cause error) {
	s, ok := errors.AsType[*invalidRequest](cause)
	if !ok && errors.Is(cause, core.ErrDenied) { // no bytes were read
		s = &invalidRequest{mirror: &mirror{rejecter: r, ctx: context.Background(), client: conn}}
	}
	switch {
	case s == nil: // a transport has consumed the bytes
	case !time.Now().Before(deadline):
		s.mirror.drop()
	default:
		decoy, answer, err := s.mirror.handOver(s.soFar)
		if err == nil {
			r.join(s.mirror.ctx, conn, decoy, answer)
			return
		}
		r.env.Log.Debug("no decoy", "decoy", r.decoy.String(), "err", err)
	}
	ending.Drain(conn)
}

// join relays between a client and the decoy, whose first bytes are answer. ctx is that of
// the handshake.
func (r *Rejecter) join(ctx context.Context, conn, decoy core.Stream, answer []byte) {
	_ = conn.SetDeadline(time.Time{}) // from here on the decoy's own deadlines apply
	if ctx.Err() != nil {             // the client was evicted, and the deadline was for that
		_ = conn.SetDeadline(past)
	}
	_ = r.decoys.Join(new(core.Flow), conn, netio.Unread(decoy, answer))
}

// invalidRequest is the error of a connection without a valid request.
type invalidRequest struct {
	error
	soFar  []byte // all bytes that were read
	mirror *mirror
}

func (s *invalidRequest) Unwrap() error { return s.error }
