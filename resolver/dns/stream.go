package dns

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/miekg/dns"
)

// streamWire asks over TCP or TLS. All questions share one connection and don't
// wait for one another (RFC 7766 §6.2.1.1); it is dialled for the first one and
// ends when it has been idle for a while.
type streamWire struct {
	dial    func(ctx context.Context) (net.Conn, error)
	form    form
	life    context.Context // of its connections
	running *sync.WaitGroup // its goroutines

	mu      sync.Mutex
	current *pipe // the connection, or one being dialled; guarded by mu
}

// exchange implements wire. A connection that was at hand may have been closed by
// the server just then: the question goes to a new one in that case.
func (w *streamWire) exchange(ctx context.Context, q question) (reply, error) {
	p, fresh, err := w.pipe()
	if err != nil {
		return reply{}, err
	}
	r, err := w.over(ctx, p, q)
	if err == nil || fresh || ctx.Err() != nil || !errors.Is(err, errEnded) {
		return r, err
	}
	if p, _, err = w.pipe(); err != nil {
		return reply{}, err
	}
	return w.over(ctx, p, q)
}

// pipe returns the connection, and whether it was begun now.
func (w *streamWire) pipe() (p *pipe, fresh bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current != nil && w.current.open() {
		return w.current, false, nil
	}
	if err := w.life.Err(); err != nil {
		return nil, false, err
	}
	p = newPipe()
	w.current = p
	w.running.Go(func() { p.run(w.life, w.dial) })
	return p, true, nil
}

// over asks over one connection. An answer that says that a part of the form is
// not understood has the question asked in a plain one.
func (w *streamWire) over(ctx context.Context, p *pipe, q question) (reply, error) {
	r, err := w.once(ctx, p, q, w.form)
	if err != nil || r.rcode != dns.RcodeFormatError && r.rcode != dns.RcodeNotImplemented {
		return r, err
	}
	if again, err := w.once(ctx, p, q, form{id: true}); err == nil {
		return again, nil
	}
	return r, nil
}

func (w *streamWire) once(ctx context.Context, p *pipe, q question, f form) (reply, error) {
	asked, err := newQuery(q, f)
	if err != nil {
		return reply{}, err
	}
	msg, err := p.converse(ctx, asked)
	if err != nil {
		return reply{}, err
	}
	r, err := parseReply(msg, len(asked.section))
	if err == nil && r.truncated {
		return reply{}, errors.New("truncated answer over a stream")
	}
	return r, err
}

// close ends the connection.
func (w *streamWire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current != nil {
		w.current.end(errEnded)
	}
}
