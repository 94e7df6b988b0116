package core

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// reason is a word for errors that mean the same.
type reason struct {
	word string
	errs []error
}

// ownReasons are what this package's errors say, networkReasons what the network
// did. The first that matches holds.
var (
	ownReasons = []reason{
		{"proxy_header", []error{ErrProxyHeader}},
		{"replay", []error{ErrReplay}},
		{"identity", []error{ErrIdentity}},
		{"auth", []error{ErrAuth}},
		{"clock", []error{ErrClock}},
		{"untrusted", []error{ErrUntrusted}},
		{"denied", []error{ErrDenied}},
		{"crowded", []error{ErrCrowded}},
		{"malformed", []error{ErrMalformed}},
		{"shutdown", []error{ErrShutdown}},
		{"idle", []error{ErrIdle}},
		{"gone", []error{ErrGone}},
		{"short", []error{ErrShort, io.ErrUnexpectedEOF}},
	}
	networkReasons = []reason{
		{"refused", []error{syscall.ECONNREFUSED}},
		{"unreachable", []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL}},
		{"reset", []error{syscall.ECONNRESET, syscall.EPIPE}},
		{"timeout", []error{os.ErrDeadlineExceeded, context.DeadlineExceeded, syscall.ETIMEDOUT}},
	}
)

// ReasonOf returns in one word why a connection ended, for logs, metrics and
// observers: one of proxy_header, replay, identity, auth, clock, untrusted, denied, crowded,
// malformed, shutdown, idle, gone, short, name (a lookup failed), refused, unreachable,
// reset, timeout and other. It returns "" for nil.
func ReasonOf(err error) string {
	if err == nil {
		return ""
	}
	if word := find(ownReasons, err); word != "" {
		return word
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "name"
	}
	if word := find(networkReasons, err); word != "" {
		return word
	}
	return "other"
}

// HandshakeReasonOf is ReasonOf for a handshake: a client that was too slow or
// reset the connection sent too few bytes, which is "short".
func HandshakeReasonOf(err error) string {
	switch word := ReasonOf(err); word {
	case "timeout", "reset":
		return "short"
	default:
		return word
	}
}

func find(in []reason, err error) string {
	for _, r := range in {
		for _, is := range r.errs {
			if errors.Is(err, is) {
				return r.word
			}
		}
	}
	return ""
}
