package websocket

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// maxInformational is the most answers of 1xx before the one that counts.
const maxInformational = 5

// Client asks the server that was dialled as server for the path. ctx and the deadline of
// wire bound the handshake. On an error the caller still owns wire; if ctx has ended, the
// deadline of wire is in the past.
func (t *Transport) Client(ctx context.Context, wire core.Stream, server core.Addr) (core.Stream, error) {
	s, _, err := t.ClientEarly(ctx, wire, server, nil)
	return s, err
}

// ClientEarly is Client with as many of the first bytes in the request as the option
// early_data says: in Sec-WebSocket-Protocol, as v2ray and Xray have it.
func (t *Transport) ClientEarly(ctx context.Context, wire core.Stream, server core.Addr, first []byte) (core.Stream, int, error) {
	first = first[:min(len(first), t.early)]
	early := encodeEarly(first)
	s, err := bounded(ctx, wire, func() (*stream, error) {
		key := newNonce()
		if _, err := io.WriteString(wire, t.requestFor(server, key, early)); err != nil {
			return nil, err
		}
		r := newHeadReader(wire, t.maxHeader)
		if err := r.readAnswer(key, early); err != nil {
			return nil, err
		}
		return newStream(wire, r.over(wire), client, nil), nil
	})
	if err != nil {
		if _, refused := errors.AsType[*refusal](err); len(first) > 0 && !refused {
			err = core.Sent(err)
		}
		return nil, 0, err
	}
	return s, len(first), nil
}

// newNonce returns the key of a request: 16 random bytes (RFC 6455 §4.1).
func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// requestFor returns the request, with the lines that all browsers send, in the order of
// Chromium. early is the value of Sec-WebSocket-Protocol, if any.
func (t *Transport) requestFor(server core.Addr, key, early string) string {
	if early != "" {
		early = "Sec-WebSocket-Protocol: " + early + "\r\n"
	}
	host := t.host
	if host == "" {
		host = hostOf(server)
	}
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"+
		"%sUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n", t.request, host, t.headers, key, early)
}

// hostOf returns the Host of a server, without the ports that browsers leave out: 80, and 443
// over TLS. This transport does not know what is below it, and a wrong one is as usual there.
func hostOf(server core.Addr) string {
	host := server.Host()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := server.Port(); p != 80 && p != 443 {
		host = fmt.Sprintf("%s:%d", host, p)
	}
	return host
}

// readAnswer reads the answer to a request with a key and early data, and checks that it opens a WebSocket
// connection (RFC 6455 §4.1).
func (r *headReader) readAnswer(key, early string) error {
	for range maxInformational {
		r.next()
		answer, err := http.ReadResponse(r.Reader, nil)
		if err != nil {
			return r.answerError()
		}
		h := answer.Header
		switch {
		case answer.StatusCode == http.StatusSwitchingProtocols:
		case answer.StatusCode < 200:
			continue
		default:
			return refusedBy(answer)
		}
		switch {
		case !hasToken(h, "Upgrade", "websocket") || !hasToken(h, "Connection", "upgrade"):
			return fmt.Errorf("%w: the server switched to another protocol", core.ErrMalformed)
		case h.Get("Sec-WebSocket-Accept") != acceptOf(key):
			return fmt.Errorf("%w: the server's Sec-WebSocket-Accept does not belong to this request; a cache may have answered", core.ErrMalformed)
		case h.Get("Sec-WebSocket-Extensions") != "" || h.Get("Sec-WebSocket-Protocol") != "" && h.Get("Sec-WebSocket-Protocol") != early:
			return fmt.Errorf("%w: the server chose an extension or a protocol that was not offered", core.ErrMalformed)
		}
		return nil
	}
	return fmt.Errorf("%w: more than %d answers before the last", core.ErrMalformed, maxInformational)
}

// answerError returns why http.ReadResponse failed.
func (r *headReader) answerError() error {
	switch {
	case r.exhausted():
		return fmt.Errorf("%w: the answer's header has more than %d bytes (max_header)", core.ErrMalformed, r.most)
	case r.cut() == io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: the server closed the connection before its answer was complete", core.ErrShort)
	case r.cut() != nil:
		return r.cut()
	}
	return fmt.Errorf("%w: the answer is not HTTP/1.1", core.ErrMalformed)
}

// A refusal is the error of an answer that opens no connection: nothing of the stream was taken.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// refusedBy returns the error of an answer that refuses the request, with what is usually wrong.
func refusedBy(answer *http.Response) error {
	hint := ""
	switch {
	case answer.StatusCode == http.StatusNotFound:
		hint = "; is the path right, and does a proxy before the server pass on Upgrade and Connection?"
	case answer.StatusCode >= 500:
		hint = "; a proxy may not reach the server behind it"
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		hint = "; a proxy wants another host, or TLS"
	}
	return &refusal{fmt.Sprintf("the server answered %d %s%s", answer.StatusCode, http.StatusText(answer.StatusCode), hint)}
}
