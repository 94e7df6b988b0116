package core

import (
	"errors"
	"fmt"
	"slices"
)

// The sentinel errors are the vocabulary of policy: a cipher, an inbound or an
// outbound wraps one of them, and a gate or a log line tells failures apart by
// errors.Is alone.
var (
	// ErrShort says that the peer ended before a whole message had come.
	ErrShort = errors.New("too few bytes")
	// ErrNothing says that the peer ended, or was silent, before its first byte. It is
	// an ErrShort.
	ErrNothing = fmt.Errorf("%w: none", ErrShort)
	// ErrAuth says that a message or a password failed authentication.
	ErrAuth = errors.New("authentication failed")
	// ErrIdentity says that a message names an unknown key. It is an ErrAuth.
	ErrIdentity = fmt.Errorf("%w: unknown identity", ErrAuth)
	// ErrReplay says that a message was authentic but had been seen before.
	ErrReplay = errors.New("replayed")
	// ErrClock says that the peer's clock is too far from ours.
	ErrClock = errors.New("clock skew")
	// ErrMalformed says that a message breaks its format.
	ErrMalformed = errors.New("malformed")
	// ErrAddrType says that an address has an unknown type. It is an ErrMalformed.
	ErrAddrType = fmt.Errorf("%w: unknown address type", ErrMalformed)
	// ErrDenied says that the configuration forbids what was asked for. A policy
	// wraps it as "denied by policy".
	ErrDenied = errors.New("denied")
	// ErrUntrusted says that a connection did not come through the required
	// balancer. It is an ErrDenied.
	ErrUntrusted = fmt.Errorf("%w: the sender is not trusted", ErrDenied)
	// ErrProxyHeader says that a client began with a PROXY header, as a balancer does,
	// at an inbound that expects none. It stands beside the error of the handshake.
	ErrProxyHeader = errors.New("a PROXY header, and none is expected")
	// ErrNoPackets says that a dialer carries streams only.
	ErrNoPackets = errors.New("carries no UDP")
	// ErrGone says that the client left before its target was reached.
	ErrGone = errors.New("the client has gone")
	// ErrIdle says that a connection moved no byte for its idle timeout.
	ErrIdle = errors.New("idle")
	// ErrCrowded says that a bound is reached: a new connection or session is
	// refused, or an old one is ended.
	ErrCrowded = errors.New("too many at once")
	// ErrShutdown says that the process or the generation ends.
	ErrShutdown = errors.New("shutting down")
)

// Authenticated marks err as the mistake of a peer that had proved that it holds
// a key or a password.
func Authenticated(err error) error { return &authenticated{err} }

// IsAuthenticated reports whether err was marked by Authenticated.
func IsAuthenticated(err error) bool {
	var a *authenticated
	return errors.As(err, &a)
}

type authenticated struct{ err error }

func (a *authenticated) Error() string { return a.err.Error() }
func (a *authenticated) Unwrap() error { return a.err }

// Sent marks err as the failure of a stream that may have carried some of the client's bytes
// to a peer already: the request is not tried again another way. A Dialer that writes a
// request's payload itself marks the failure of that write; all other failures of
// DialStream say that no byte of the client's was sent.
func Sent(err error) error { return &sent{err} }

// Unsent hides the mark of Sent in err. A Dialer calls it on the error of a dialer below to
// which it gave a greeting of its own as the payload, and nothing of the client's.
func Unsent(err error) error { return &unsent{err} }

// IsSent reports whether err was marked by Sent.
func IsSent(err error) bool { return isMarked[*sent, *unsent](err) }

type sent struct{ err error }

func (s *sent) Error() string { return s.err.Error() }
func (s *sent) Unwrap() error { return s.err }

type unsent struct{ err error }

func (u *unsent) Error() string { return u.err.Error() }
func (u *unsent) Unwrap() error { return u.err }

// AtTarget marks err as the failure of the request's target rather than of a server on the
// way: it says nothing of the health of the outbound.
func AtTarget(err error) error { return &atTarget{err} }

// AtServer hides the mark of AtTarget in err. A Dialer that reaches targets through a server
// calls it on the error of the dialer below, whose target was the server.
func AtServer(err error) error { return &atServer{err} }

// IsAtTarget reports whether err was marked by AtTarget.
func IsAtTarget(err error) bool { return isMarked[*atTarget, *atServer](err) }

type atTarget struct{ err error }

func (a *atTarget) Error() string { return a.err.Error() }
func (a *atTarget) Unwrap() error { return a.err }

type atServer struct{ err error }

func (a *atServer) Error() string { return a.err.Error() }
func (a *atServer) Unwrap() error { return a.err }

// Unopened marks err as why an association, which was opened without a wait for the network,
// could not carry anything: it is told as a failed dial is.
func Unopened(err error) error { return &unopened{err} }

// IsUnopened reports whether err was marked by Unopened.
func IsUnopened(err error) bool {
	_, ok := errors.AsType[*unopened](err)
	return ok
}

type unopened struct{ err error }

func (u *unopened) Error() string { return u.err.Error() }
func (u *unopened) Unwrap() error { return u.err }

// isMarked reports whether err, or an error that it wraps, is a Mark, and no Hides wraps
// that.
func isMarked[Mark, Hides error](err error) bool {
	switch err.(type) {
	case Mark:
		return true
	case Hides:
		return false
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		return isMarked[Mark, Hides](u.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(u.Unwrap(), isMarked[Mark, Hides])
	}
	return false
}

// An OptionError is a mistake in one option of a component's table. A
// constructor returns it so that the report can name the option's place in the
// file.
type OptionError struct {
	Key string // as in the file
	Err error
}

// BadOption returns an OptionError for key, its text formatted as by
// fmt.Errorf.
func BadOption(key, format string, args ...any) error {
	return &OptionError{Key: key, Err: fmt.Errorf(format, args...)}
}

func (e *OptionError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the mistake without the key.
func (e *OptionError) Unwrap() error { return e.Err }

// A ComponentError is a mistake in the table of a component other than the one that found
// it, such as a member of a group that can't stand where the group stands.
type ComponentError struct {
	Section Section
	Name    string
	Err     error // may be an OptionError
}

// InComponent returns err as a ComponentError of the component in env, unless it is one
// already.
func InComponent(env Env, err error) error {
	if placed, ok := errors.AsType[*ComponentError](err); ok {
		return placed
	}
	return &ComponentError{Section: env.Section, Name: env.Name, Err: err}
}

func (e *ComponentError) Error() string {
	return string(e.Section) + "." + e.Name + ": " + e.Err.Error()
}

// Unwrap returns the mistake.
func (e *ComponentError) Unwrap() error { return e.Err }
