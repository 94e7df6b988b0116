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

// handshake performs a handshake over below and returns the TLS stream. It does not use
// HandshakeContext, which closes the connection when ctx ends: the caller owns below
// until handshake succeeds.
func handshake(ctx context.Context, below core.Stream, config *stdtls.Config, role func(net.Conn, *stdtls.Config) *stdtls.Conn) (core.Stream, error) {
	w := &wire{Stream: below}
	conn := role(w, config)
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = below.SetDeadline(time.Unix(1, 0)) // wakes the handshake; an error means that below is closed already
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

// A handshakeError is an error of crypto/tls with the text of this package.
type handshakeError struct {
	text  string
	cause error
}

func (e *handshakeError) Error() string { return "tls handshake: " + e.text }

// Unwrap returns the cause.
func (e *handshakeError) Unwrap() error { return e.cause }

// newHandshakeError wraps err with a core error where one applies: ErrShort if the peer
// closed the connection, ErrMalformed if the peer does not speak TLS, ErrAuth if the
// peer is not trusted.
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

// readError converts an error of a read after the handshake to the error that the relay
// expects: a broken or truncated stream must not appear complete.
func readError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err) // a fatal alert ends the stream, but not in order
	}
	if errors.Is(err, errTruncated) {
		return io.ErrUnexpectedEOF
	}
	return protocolError(err)
}

// protocolError wraps ErrAuth or ErrMalformed if the peer violated the protocol, for
// which crypto/tls returns the alert that it sent.
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
