package inbound

import (
	"bytes"
	"crypto/tls"
	"errors"

	"github.com/pires/go-proxyproto"

	"github.com/umbra-proxy/umbra/core"
)

// NoteProxyHeader returns err, the error of a handshake, with a core.ErrProxyHeader if
// first, the bytes that the client has sent so far, begin with a PROXY header: the
// handshake failed because a balancer sends headers and the inbound does not expect any.
// It changes no other property of err, so the connection ends as any other does.
func NoteProxyHeader(err error, first []byte) error {
	if err == nil || !bytes.HasPrefix(first, []byte(lineStart)) && !bytes.HasPrefix(first, proxyproto.SIGV2) {
		return err
	}
	return &unexpectedHeader{err}
}

// unexpectedHeader is the error of a handshake that began with a PROXY header.
type unexpectedHeader struct{ error }

func (e *unexpectedHeader) Unwrap() []error { return []error{core.ErrProxyHeader, e.error} }

// noteHeaderBeforeTLS is NoteProxyHeader for a failed TLS handshake, of whose bytes
// crypto/tls returns those that it took for the header of a record.
func noteHeaderBeforeTLS(err error) error {
	e, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok {
		return err
	}
	if n := len(e.RecordHeader); string(e.RecordHeader[:]) == lineStart[:n] || bytes.Equal(e.RecordHeader[:], proxyproto.SIGV2[:n]) {
		return &unexpectedHeader{err}
	}
	return err
}
