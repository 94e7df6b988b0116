package tls

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// handshake makes a stream of below. It does without HandshakeContext, which
// closes the connection when ctx ends: below is the caller's until it succeeds.
func handshake(ctx context.Context, below core.Stream, config *stdtls.Config, role func(net.Conn, *stdtls.Config) *stdtls.Conn) (core.Stream, error) {
	w := &wire{Stream: below}
	conn := role(w, config)
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = below.SetDeadline(time.Unix(1, 0)) // wakes the handshake; what fails here is closed already
	})
	err := conn.Handshake()
	if !stop() {
		<-expired
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, newHandshakeError(err)
	}
	return &stream{Stream: below, wire: w, conn: conn}, nil
}

// A handshakeError gives a failure of crypto/tls the form of ours.
type handshakeError struct {
	text  string
	cause error
}

func (e *handshakeError) Error() string { return "tls handshake: " + e.text }

// Unwrap returns the cause.
func (e *handshakeError) Unwrap() error { return e.cause }

// newHandshakeError tells what went wrong in the words of policy where there is
// one: ErrShort for a peer that went away, ErrMalformed for one that speaks
// something else, ErrAuth for one that is not whom we trust.
func newHandshakeError(err error) error {
	if e, ok := errors.AsType[*stdtls.CertificateVerificationError](err); ok {
		err = fmt.Errorf("%w: %w", core.ErrAuth, e.Err)
	} else if errors.Is(err, errTruncated) || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the peer closed the connection", core.ErrShort)
	} else {
		err = protocolError(err)
	}
	return &handshakeError{strings.TrimPrefix(err.Error(), "tls: "), err}
}

// readError gives an error of a read after the handshake the meaning that a
// relay looks for: what broke or was cut off must not look complete.
func readError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err) // a fatal alert ends the stream, but not in order
	}
	if errors.Is(err, errTruncated) {
		return io.ErrUnexpectedEOF
	}
	return protocolError(err)
}

// protocolError wraps ErrAuth or ErrMalformed if the peer broke the rules of
// TLS; crypto/tls tells that by the alert that it sent.
func protocolError(err error) error {
	if e, ok := errors.AsType[stdtls.RecordHeaderError](err); ok {
		return fmt.Errorf("%w: %s", core.ErrMalformed, e.Msg) // e itself would keep the connection
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "local error" {
		return err
	}
	text := strings.TrimPrefix(op.Err.Error(), "tls: ")
	if text == "bad record MAC" {
		return fmt.Errorf("%w: %s", core.ErrAuth, text)
	}
	return fmt.Errorf("%w: %s", core.ErrMalformed, text)
}
