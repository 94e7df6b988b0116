package inbound

import (
	"context"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// FailLater takes over a connection whose request was valid but not authenticated, and
// could not be served. It ends the connection at the deadline, as Fail ends a connection
// with an invalid request. FailLater returns at once.
func (r *Rejecter) FailLater(conn core.Stream, deadline time.Time) {
	if r.how == option.RejectForward { // the decoy can't get the bytes that were read
		r.held.endLater(conn, deadline, ending.Drain)
		return
	}
	r.held.endLater(conn, deadline, func(conn core.Stream) { r.Fail(conn, deadline, nil) })
}

// Hold wraps conn for an unauthenticated request that is forwarded nevertheless. Until
// the first byte of an answer, an end of the stream is delayed to the deadline and looks
// like that of an invalid request: a prober that sends a damaged recording must not
// learn when the next server closed the connection.
func (r *Rejecter) Hold(conn core.Stream, deadline time.Time) core.Stream {
	if r.how == option.RejectForward { // the next server has a decoy too
		return conn
	}
	return &held{Stream: conn, rejecter: r, deadline: deadline}
}

// Shutdown waits for the held connections, and ends them when ctx ends.
func (r *Rejecter) Shutdown(ctx context.Context) { r.held.shutdown(ctx) }

// held is a connection whose end is delayed until it has been answered.
type held struct {
	core.Stream
	rejecter *Rejecter
	deadline time.Time
	answered atomic.Bool

	mu     sync.Mutex
	end    *time.Timer // guarded by mu, as is closed
	closed bool
}

var (
	_ core.Waiter       = (*held)(nil)
	_ core.VectorWriter = (*held)(nil)
)

// NetConn returns the wrapped stream, for socket options.
func (h *held) NetConn() net.Conn { return h.Stream }

// WaitRead waits until a Read of the wrapped stream would not wait.
func (h *held) WaitRead() error { return netio.WaitReadable(h.Stream) }

func (h *held) Write(p []byte) (int, error) {
	h.answered.Store(true)
	return h.Stream.Write(p)
}

// WriteVector writes all pieces, with one call if the wrapped stream supports vectored
// writes.
func (h *held) WriteVector(pieces [][]byte) (int, error) {
	h.answered.Store(true)
	return netio.WriteVector(h.Stream, pieces)
}

// early reports whether an end must be delayed: no answer was written, and the deadline
// has not passed.
func (h *held) early() bool { return !h.answered.Load() && time.Now().Before(h.deadline) }

// CloseWrite ends the answer, now or at the deadline.
func (h *held) CloseWrite() error {
	if !h.early() {
		return h.Stream.CloseWrite()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed && h.end == nil {
		h.end = time.AfterFunc(time.Until(h.deadline), func() {
			if h.rejecter.how == option.RejectReset {
				ending.Reset(h.Stream)
				return
			}
			_ = h.Stream.CloseWrite() // an error means that the client has gone
		})
	}
	return nil
}

// Close ends the connection, now or at the deadline. It returns at once.
func (h *held) Close() error {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	if h.end != nil {
		h.end.Stop()
	}
	h.mu.Unlock()
	switch {
	case again:
		return net.ErrClosed
	case !h.early():
		return h.Stream.Close()
	}
	h.rejecter.FailLater(h.Stream, h.deadline)
	return nil
}

// holder is a set of connections whose end is delayed. They count as strangers.
type holder struct {
	strangers *budget.Strangers
	running   sync.WaitGroup

	mu    sync.Mutex
	ended bool // guarded by mu
}

func newHolder(p *core.Process) *holder {
	return &holder{strangers: budget.Of(p).NewStrangers(math.MaxInt, math.MaxInt, nil)}
}

// delayed is a connection whose end is delayed.
type delayed struct {
	conn     core.Stream
	stranger budget.Stranger
}

// MakeRoom ends the connection soon. It implements budget.Member. It uses the connection
// at the bottom: a transport of a third party might block.
func (d *delayed) MakeRoom() {
	if tcp := netio.TCP(d.conn); tcp != nil {
		_ = tcp.SetDeadline(past)
	} else {
		_ = d.conn.SetDeadline(past)
	}
}

// endLater sets the deadline of conn, calls end in a goroutine and then closes conn.
func (h *holder) endLater(conn core.Stream, deadline time.Time, end func(core.Stream)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		conn.Close()
		return
	}
	_ = conn.SetDeadline(deadline)
	d := &delayed{conn: conn}
	h.strangers.AddBack(&d.stranger, d)
	h.running.Go(func() {
		defer h.strangers.Remove(&d.stranger)
		end(conn)
		conn.Close()
	})
}

// shutdown waits for all connections, and ends them when ctx ends. Connections that are
// added later end at once.
func (h *holder) shutdown(ctx context.Context) {
	defer context.AfterFunc(ctx, h.strangers.EvictAll)()
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.running.Wait()
}
