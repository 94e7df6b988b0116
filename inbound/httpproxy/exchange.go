package httpproxy

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// exchange is one request of a client for http:// and its answer: the Pending of the
// request, and the stream of what goes to the origin server and comes from it. Its end
// leaves the client's connection open.
type exchange struct {
	core.Stream // of the client
	window      *window
	request     request
	flow        *core.Flow
	limit       int // bytes of a head

	answered chan struct{} // closed with the answer's end, or at an upgrade
	once     sync.Once
	sent     atomic.Bool // the request's body has been read
	upgraded atomic.Bool
	whole    atomic.Bool // the answer was sent to its end

	// Of Write and CloseWrite, which are not called at once.
	partial []byte // of the answer's head
	begun   bool   // the head of the answer was sent
	answer  body
	stays   bool // the answer leaves the client's connection open
}

// newExchange returns the exchange of a request whose head has been taken out of w.
func newExchange(w *window, r request, limit int) *exchange {
	x := &exchange{Stream: w.conn, window: w, request: r, flow: new(core.Flow), limit: limit, answered: make(chan struct{})}
	x.sent.Store(r.body.done())
	return x
}

// reusable reports whether the connection can have a further request. It is called after the
// end of the exchange.
func (x *exchange) reusable() bool { return x.stays && x.whole.Load() && x.sent.Load() }

var (
	_ core.Pending = (*exchange)(nil)
	_ core.Stream  = (*exchange)(nil)
	_ core.Waiter  = (*exchange)(nil)
)

// Accept returns the stream. The client is told nothing: the answer is the origin server's.
func (x *exchange) Accept() (core.Stream, error) { return x, nil }

// Reject answers in place of the origin server.
func (x *exchange) Reject(cause error) {
	x.stays = x.request.stays && x.sent.Load()
	if _, err := x.Stream.Write(reply(statusOf(cause), x.stays, cause)); err == nil {
		x.whole.Store(true)
	}
}

// finish ends the wait of Read for the answer.
func (x *exchange) finish() { x.once.Do(func() { close(x.answered) }) }

// WaitRead waits for bytes of the request's body, or, behind it, for the end of the answer.
func (x *exchange) WaitRead() error {
	if x.sent.Load() {
		<-x.answered
		if !x.upgraded.Load() {
			return nil
		}
	}
	if len(x.window.b) > 0 {
		return nil
	}
	return netio.WaitReadable(x.Stream)
}

// Read reads the request's body. It returns io.EOF once the answer has ended: an end before
// that would tell many servers that the client has gone. After an upgrade all bytes are
// the server's.
func (x *exchange) Read(p []byte) (int, error) {
	if x.sent.Load() {
		<-x.answered
		if !x.upgraded.Load() {
			return 0, io.EOF
		}
		return x.window.read(p, nil)
	}
	n, err := x.window.read(p, &x.request.body)
	if x.request.body.done() {
		x.sent.Store(true)
	}
	if err == io.EOF {
		err = fmt.Errorf("body: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}

// Write passes on the origin server's answer.
func (x *exchange) Write(p []byte) (int, error) {
	if x.upgraded.Load() {
		return x.Stream.Write(p)
	}
	all := len(p)
	for !x.begun {
		x.partial = append(x.partial, p...)
		h, n, err := cutHead(x.partial)
		switch {
		case err != nil:
			x.refuse(err)
			return all, nil
		case n == 0 && len(x.partial) > x.limit:
			x.refuse(fmt.Errorf("answer: %w: a head of more than %d bytes", core.ErrMalformed, x.limit))
			return all, nil
		case n == 0:
			return all, nil
		}
		p = x.partial[n:]
		x.partial = nil
		if err := x.begin(h); errors.Is(err, core.ErrMalformed) {
			x.refuse(err)
			return all, nil
		} else if err != nil {
			return 0, err
		}
		if len(p) == 0 && !x.begun {
			return all, nil
		}
	}
	if x.upgraded.Load() {
		_, err := x.Stream.Write(p)
		return all, err
	}
	n, err := x.answer.take(p)
	if n > 0 {
		if _, err := x.Stream.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, err
	}
	if x.answer.done() { // what the server sends behind its answer is nobody's
		x.complete()
	}
	return all, nil
}

// complete ends an exchange whose answer has been sent. The origin server may keep its
// connection open, so it is closed here.
func (x *exchange) complete() {
	x.whole.Store(true)
	x.flow.Cut(io.EOF)
	x.finish()
}

// refuse answers in place of an origin server whose answer can't be passed on.
func (x *exchange) refuse(err error) {
	x.begun = true
	x.Reject(err)
	x.flow.Cut(err)
	x.finish()
}

// begin sends the head of an answer.
func (x *exchange) begin(h head) error {
	version, rest, _ := strings.Cut(h.first, " ")
	code, _, _ := strings.Cut(rest, " ")
	if !strings.HasPrefix(version, "HTTP/1.") || len(code) != 3 || strings.Trim(code, "0123456789") != "" {
		return fmt.Errorf("answer: %w: the first line %.40q", core.ErrMalformed, h.first)
	}
	first := "HTTP/1.1 " + rest
	switch {
	case code == "101":
		if !x.request.upgrade || !x.request.body.done() {
			return fmt.Errorf("answer: %w: status 101, which was not asked for", core.ErrMalformed)
		}
		if _, err := x.Stream.Write(h.append(nil, first, true, "Connection: Upgrade")); err != nil {
			return err
		}
		x.begun = true
		x.upgraded.Store(true)
		x.finish()
		return nil
	case code[0] == '1':
		if x.request.old {
			return nil
		}
		_, err := x.Stream.Write(h.append(nil, first, false))
		return err
	}
	var err error
	if x.request.method != "HEAD" && code != "204" && code != "304" {
		if x.answer, err = h.frame(byEnd); err != nil {
			return err
		}
	}
	if x.request.old && x.answer.framing == byChunks {
		return fmt.Errorf("answer: %w: chunks for HTTP/1.0", core.ErrMalformed)
	}
	x.stays = x.request.stays && x.answer.framing != byEnd
	connection := "Connection: close"
	if x.stays {
		connection = "Connection: keep-alive"
	}
	x.begun = true
	_, err = x.Stream.Write(h.append(nil, first, false, connection))
	return err
}

// CloseWrite is called at the origin server's end. An answer that it cuts off must not look
// complete: the handshake resets the connection of an exchange that is not whole.
func (x *exchange) CloseWrite() error {
	switch {
	case x.upgraded.Load():
		x.whole.Store(true)
		return x.Stream.CloseWrite()
	case !x.begun:
		x.refuse(fmt.Errorf("answer: %w", io.ErrUnexpectedEOF))
	case x.answer.framing == byEnd:
		x.complete()
	case !x.answer.done():
		x.flow.Cut(fmt.Errorf("answer: %w", io.ErrUnexpectedEOF))
	}
	return nil
}

// Close ends the exchange. The client's connection is left to the handshake. A read or a
// write of it that is under way is woken, after which it serves no further request.
func (x *exchange) Close() error {
	if !x.whole.Load() || !x.sent.Load() || x.upgraded.Load() {
		_ = x.SetDeadline(past)
	}
	x.finish()
	return nil
}
