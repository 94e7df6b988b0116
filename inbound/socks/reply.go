package socks

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

const (
	// lingerTime is how long the server reads after its last answer before it closes
	// the connection. A close with unread bytes is a reset, which can destroy the
	// answer.
	lingerTime = time.Second
	// lingerBytes bounds the bytes that are read in that time.
	lingerBytes = 64 << 10
)

// refusal is the error of a handshake that ends with an answer to the client.
type refusal struct {
	answer []byte
	cause  error
}

func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }

// refuse returns a refusal with the reply rep.
func refuse(rep byte, cause error) error {
	return &refusal{answer: appendReply(nil, rep), cause: cause}
}

// refuseMalformed returns a refusal with answer if err is an ErrMalformed. It returns
// other errors unchanged: a client that ended within a message gets no answer.
func refuseMalformed(answer []byte, err error) error {
	if errors.Is(err, core.ErrMalformed) {
		return &refusal{answer: answer, cause: err}
	}
	return err
}

// pending is a client that waits for the result of its CONNECT.
type pending struct{ conn core.Stream }

var _ core.Pending = pending{}

// Accept sends the success reply. After an error it closes the connection.
func (p pending) Accept() (core.Stream, error) {
	if _, err := p.conn.Write(appendReply(nil, socksaddr.RepSuccess)); err != nil {
		_ = p.conn.Close()
		return nil, fmt.Errorf("reply: %w", err)
	}
	return p.conn, nil
}

// Reject sends the reply for cause, waits up to a second for the client to read it, and
// closes the connection.
func (p pending) Reject(cause error) {
	dismiss(p.conn, time.Now().Add(lingerTime), appendReply(nil, replyFor(cause)))
	_ = p.conn.Close()
}

// dismiss sends the last answer and a FIN, and discards the client's bytes until the
// client ends too, or until the deadline. The caller closes the connection.
func dismiss(conn core.Stream, deadline time.Time, answer []byte) {
	if err := conn.SetDeadline(deadline); err != nil {
		return
	}
	if _, err := conn.Write(answer); err != nil {
		return
	}
	if err := conn.CloseWrite(); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, lingerBytes) // any result will do: the client had time to read
}

// replyFor returns the reply code for err. err may wrap several errors, one of each
// address of a target or of each attempt. The most specific error about the target
// selects the code, so that a machine without IPv6 does not answer "network unreachable"
// for every target with an IPv6 address. What is wrong with a name server is no error
// about the target: a failed lookup is "host unreachable", whatever its cause.
func replyFor(err error) byte {
	reached, lookupFailed := splitLookups(err)
	about := errors.Join(reached...)
	switch {
	case errors.Is(about, core.ErrNoLookups):
		return socksaddr.RepBadCommand
	case errors.Is(about, core.ErrDenied):
		return socksaddr.RepNotAllowed
	case errors.Is(about, syscall.ECONNREFUSED):
		return socksaddr.RepRefused
	case lookupFailed, errors.Is(about, syscall.EHOSTUNREACH):
		return socksaddr.RepHostUnreachable
	case isTimeout(about):
		return socksaddr.RepExpired
	case errors.Is(about, syscall.ENETUNREACH):
		return socksaddr.RepNetUnreachable
	}
	return socksaddr.RepFailure
}

// splitLookups returns the errors that err wraps, without those of lookups and what
// caused them, and whether there is one of a lookup.
func splitLookups(err error) (others []error, lookupFailed bool) {
	if _, ok := err.(*net.DNSError); ok {
		return nil, true
	}
	switch u := err.(type) {
	case interface{ Unwrap() []error }:
		for _, wrapped := range u.Unwrap() {
			more, failed := splitLookups(wrapped)
			others, lookupFailed = append(others, more...), lookupFailed || failed
		}
		return others, lookupFailed
	case interface{ Unwrap() error }:
		if wrapped := u.Unwrap(); wrapped != nil {
			if _, lookupFailed = splitLookups(wrapped); lookupFailed {
				return splitLookups(wrapped)
			}
		}
	}
	return []error{err}, false
}

// isTimeout reports whether err, or an error that it wraps, is a timeout, such as
// context.DeadlineExceeded, os.ErrDeadlineExceeded or ETIMEDOUT.
func isTimeout(err error) bool {
	if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
		return true
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		return isTimeout(u.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(u.Unwrap(), isTimeout)
	}
	return false
}
