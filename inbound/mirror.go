package inbound

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// mirror copies the first bytes of a connection to a decoy before the request is
// complete, so that an incomplete request gets the decoy's answer, at the same time as
// from the decoy itself. Once the decoy has answered, the connection is passed to the
// decoy.
type mirror struct {
	rejecter *Rejecter
	ctx      context.Context
	client   core.Stream

	running sync.WaitGroup // of run and pass
	more    chan []byte    // copies of received bytes; nil before the first byte
	seen    int            // number of bytes that were put into more
	cancel  context.CancelFunc

	mu    sync.Mutex
	decoy core.Stream // guarded by mu until run has ended; nil before the dial has succeeded

	// Set by run and pass, read after they have ended.
	sent   int    // number of bytes that were written to decoy
	answer []byte // first bytes of decoy
	err    error  // of the dial
}

// moreRoom is how many pieces of a request are queued for the decoy. While the queue is
// full, further pieces are sent later.
const moreRoom = 64

// waits queues the new bytes of soFar for the decoy. It implements core.Caller.Waits.
func (m *mirror) waits(soFar []byte) {
	if len(soFar) <= m.seen {
		return // no new bytes; the decoy is not dialled before the first byte
	}
	piece := append([]byte(nil), soFar[m.seen:]...)
	m.seen = len(soFar)
	if m.more == nil {
		var ctx context.Context
		ctx, m.cancel = context.WithCancel(m.ctx)
		m.more = make(chan []byte, moreRoom)
		m.running.Go(func() { m.run(ctx) })
	}
	select {
	case m.more <- piece:
	default: // the queue is full: the next call, or handOver, sends these bytes
		m.seen -= len(piece)
	}
}

// run dials the decoy, starts pass and waits for an answer. The answer, or the decoy's
// end, ends the reading of the request.
func (m *mirror) run(ctx context.Context) {
	dialling, cancel := context.WithTimeout(ctx, decoyTimeout)
	defer cancel()
	decoy, err := m.rejecter.dial(dialling)
	if err != nil {
		m.err = err
		return
	}
	m.mu.Lock()
	m.decoy = decoy
	m.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	m.running.Go(func() { m.pass(ctx, decoy) })
	var b [4 << 10]byte
	n, _ := decoy.Read(b[:]) // the next Read returns the end again
	m.answer = append([]byte(nil), b[:n]...)
	if ctx.Err() == nil {
		_ = m.client.SetReadDeadline(past)
	}
}

// pass writes the queued pieces to the decoy.
func (m *mirror) pass(ctx context.Context, decoy core.Stream) {
	for {
		select {
		case <-ctx.Done():
			return
		case piece := <-m.more:
			n, err := decoy.Write(piece)
			if m.sent += n; err != nil {
				return
			}
		}
	}
}

// stop ends run and pass.
func (m *mirror) stop() {
	if m.cancel == nil {
		return
	}
	m.cancel()
	m.mu.Lock()
	if m.decoy != nil {
		_ = m.decoy.SetDeadline(past)
	}
	m.mu.Unlock()
	m.running.Wait()
}

// drop closes the connection to the decoy: the client has made a request.
func (m *mirror) drop() {
	if m.stop(); m.decoy != nil {
		m.decoy.Close()
	}
}

// handOver writes the rest of soFar to the decoy, which it dials if need be. It returns
// the decoy and the decoy's first bytes.
func (m *mirror) handOver(soFar []byte) (decoy core.Stream, answer []byte, err error) {
	if m.stop(); m.err != nil && !errors.Is(m.err, context.Canceled) { // stop cancels the dial
		return nil, nil, m.err
	}
	if m.decoy == nil {
		ctx, cancel := context.WithTimeout(m.ctx, decoyTimeout)
		defer cancel()
		if m.decoy, err = m.rejecter.dial(ctx); err != nil {
			return nil, nil, err
		}
	}
	_ = m.decoy.SetDeadline(time.Time{})
	_, _ = m.decoy.Write(soFar[m.sent:]) // the next Read returns the error
	return m.decoy, m.answer, nil
}

// dial dials the decoy.
func (r *Rejecter) dial(ctx context.Context) (core.Stream, error) {
	return r.network.DialStream(ctx, &core.Request{Target: r.decoy, Flow: new(core.Flow)})
}
