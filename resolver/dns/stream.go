package dns

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// streamWire queries over TCP or TLS. All queries share one connection and don't wait
// for one another (RFC 7766 §6.2.1.1). The connection is dialled for the first query
// and closed after idleTimeout.
type streamWire struct {
	dial    func(ctx context.Context) (net.Conn, error)
	form    form
	life    context.Context // of the connections
	running *sync.WaitGroup // the goroutines

	mu      sync.Mutex
	current *pipe // the connection, or one being dialled; guarded by mu
}

// exchange implements wire. If an existing connection breaks, or if no message arrives on
// it for half of the query's time, the query is repeated on a new one. If the server is
// only slow with this name, the query is repeated on the same one.
func (w *streamWire) exchange(ctx context.Context, q question) (reply, error) {
	p, fresh, err := w.pipe()
	if err != nil {
		return reply{}, err
	}
	if fresh {
		return w.over(ctx, p, q)
	}
	half, cancel := halfOf(ctx)
	defer cancel()
	r, err := w.over(half, p, q)
	if err == nil || ctx.Err() != nil || half.Err() == nil && !errors.Is(err, errEnded) {
		return r, err
	}
	if p, _, err = w.pipe(); err != nil {
		return reply{}, err
	}
	return w.over(ctx, p, q)
}

// halfOf returns a ctx with half of the time of ctx.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// pipe returns the connection. fresh reports whether the connection is new.
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

// over queries over one connection. If the server rejects the form of the message the
// query is repeated in the plain form.
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
