package inbound

import (
	"container/list"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// FailLater takes over a connection whose request could be read and not met, and
// proves nothing: it ends as one whose request could not be read, at the deadline.
// It returns at once.
func (r *Rejecter) FailLater(conn core.Stream, deadline time.Time) {
	if r.how == option.RejectForward { // what was read is lost
		r.held.take(conn, deadline, ending.Drain)
		return
	}
	r.held.take(conn, deadline, func(conn core.Stream) { r.Fail(conn, deadline, nil) })
}

// Hold returns conn for the bytes of a request that proves nothing and is passed on
// all the same. Until something has been answered, its end is put off to the
// deadline and is that of a failure: who sends a damaged recording must not learn
// when the server behind has had enough of it.
func (r *Rejecter) Hold(conn core.Stream, deadline time.Time) core.Stream {
	if r.how == option.RejectForward { // the server behind has a decoy too
		return conn
	}
	return &held{Stream: conn, rejecter: r, deadline: deadline}
}

// Shutdown ends what is held when ctx does, and waits for it.
func (r *Rejecter) Shutdown(ctx context.Context) { r.held.shutdown(ctx) }

// held is a connection that has not been answered yet.
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

// NetConn returns the connection, for socket options.
func (h *held) NetConn() net.Conn { return h.Stream }

// WaitRead waits for the connection.
func (h *held) WaitRead() error { return netio.WaitReadable(h.Stream) }

func (h *held) Write(p []byte) (int, error) {
	h.answered.Store(true)
	return h.Stream.Write(p)
}

// WriteVector writes all pieces with one call where the connection takes them so.
func (h *held) WriteVector(pieces [][]byte) (int, error) {
	h.answered.Store(true)
	return netio.WriteVector(h.Stream, pieces)
}

// early reports whether an end would come too soon.
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
			_ = h.Stream.CloseWrite() // who has gone meanwhile has nothing to miss
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

// maxHeld is how many connections are held at the most; over it the oldest is ended.
// It is what probes of a recording cost.
const maxHeld = 256

// holder is the connections that are to end later.
type holder struct {
	running sync.WaitGroup

	mu    sync.Mutex
	ended bool       // guarded by mu, as is conns
	conns *list.List // of core.Stream, the oldest first; nil until there is one
}

// take has end end a connection, whose deadline is set, and closes it.
func (h *holder) take(conn core.Stream, deadline time.Time, end func(core.Stream)) {
	h.mu.Lock()
	if h.ended {
		h.mu.Unlock()
		conn.Close()
		return
	}
	if h.conns == nil {
		h.conns = list.New()
	}
	if h.conns.Len() >= maxHeld {
		_ = h.conns.Remove(h.conns.Front()).(core.Stream).SetDeadline(past)
	}
	at := h.conns.PushBack(conn)
	_ = conn.SetDeadline(deadline)
	h.running.Add(1)
	h.mu.Unlock()
	go func() {
		defer h.running.Done()
		end(conn)
		conn.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.conns.Remove(at) // which may have been done
	}()
}

// first returns the oldest, or nil. mu is held.
func (h *holder) first() *list.Element {
	if h.conns == nil {
		return nil
	}
	return h.conns.Front()
}

// shutdown ends all when ctx does, and waits for them. Later ones end at once.
func (h *holder) shutdown(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for e := h.first(); e != nil; e = e.Next() {
			_ = e.Value.(core.Stream).SetDeadline(past)
		}
	})()
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.running.Wait()
}
