package socks5

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// lingerTime is how long a client has to read why it was refused. A close
	// with unread bytes is a reset, which would take the answer away from it.
	lingerTime = time.Second
	// lingerBytes bounds what it can have us read meanwhile.
	lingerBytes = 64 << 10
)

// refusal is the error of a handshake whose client is owed an answer.
type refusal struct {
	answer []byte
	cause  error
}

func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap returns the error without its answer.
func (r *refusal) Unwrap() error { return r.cause }

// refuse returns the refusal of a request with the reply rep.
func refuse(rep byte, cause error) error {
	return &refusal{answer: appendReply(nil, rep), cause: cause}
}

// refuseMalformed returns err with answer for a client that broke the format. One
// that ended before its message did gets none.
func refuseMalformed(answer []byte, err error) error {
	if errors.Is(err, core.ErrMalformed) {
		return &refusal{answer: answer, cause: err}
	}
	return err
}

// pending is a client that waits for the result of its CONNECT.
type pending struct{ conn core.Stream }

var _ core.Pending = pending{}

// Accept sends the reply of success. On an error it closes the connection.
func (p pending) Accept() (core.Stream, error) {
	if _, err := p.conn.Write(appendReply(nil, repSuccess)); err != nil {
		_ = p.conn.Close()
		return nil, fmt.Errorf("reply: %w", err)
	}
	return p.conn, nil
}

// Reject sends the reply that fits cause, lets the client read it for a second
// at most, and closes.
func (p pending) Reject(cause error) {
	dismiss(p.conn, time.Now().Add(lingerTime), appendReply(nil, replyFor(cause)))
	_ = p.conn.Close()
}

// dismiss sends the last answer, ends our direction and reads what the client
// still sends until it ends too, or until the deadline. The caller closes.
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
	_, _ = io.CopyN(io.Discard, conn, lingerBytes) // however it ends, the client had its time
}

// replyFor returns the reply that tells a client of err. An error may hold
// several, of each address of a target or of each try: the one that says most
// of the target wins, so that a machine without IPv6 does not answer "network
// unreachable" for every target that has it.
func replyFor(err error) byte {
	_, nameless := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, core.ErrDenied):
		return repNotAllowed
	case errors.Is(err, syscall.ECONNREFUSED):
		return repRefused
	case nameless, errors.Is(err, syscall.EHOSTUNREACH):
		return repHostUnreachable
	case isTimeout(err):
		return repExpired
	case errors.Is(err, syscall.ENETUNREACH):
		return repNetUnreachable
	}
	return repFailure
}

// isTimeout reports whether err or one of those in it is a timeout, such as
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
