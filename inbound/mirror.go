package inbound

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// mirror lets a decoy see the first bytes of a connection while it is not known yet
// whether they make a request. It answers too few bytes as the decoy does, and as
// soon. Once the decoy has answered, the connection is the decoy's.
type mirror struct {
	rejecter *Rejecter
	ctx      context.Context
	client   core.Stream

	running sync.WaitGroup // of run and pass
	more    chan []byte    // copies of what came; nil until something has
	seen    int            // bytes that were put into more
	cancel  context.CancelFunc

	mu    sync.Mutex
	decoy core.Stream // guarded by mu until run has ended; nil until it is reached

	// Set by run and pass, read after they have ended.
	sent   int // bytes that decoy got
	answer []byte
	err    error // why the decoy could not be reached
}

// moreRoom is how many pieces of a request may wait for the decoy. Whoever sends
// more of them must wait for it.
const moreRoom = 64

// waits takes what has come so far. It implements core.Caller.Waits.
func (m *mirror) waits(soFar []byte) {
	if len(soFar) <= m.seen {
		return // before the first byte nothing is known of a client
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
	default: // one byte at a time, to a decoy that does not answer: it gets them later
		m.seen -= len(piece)
	}
}

// run reaches the decoy, passes on what comes, and waits for an answer. With that,
// or with the decoy's end, it ends the reading of the request.
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
	n, _ := decoy.Read(b[:]) // an end comes again
	m.answer = append([]byte(nil), b[:n]...)
	if ctx.Err() == nil {
		_ = m.client.SetReadDeadline(past)
	}
}

// pass sends the decoy what has come.
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

// drop forgets the decoy: the connection has made a request.
func (m *mirror) drop() {
	if m.stop(); m.decoy != nil {
		m.decoy.Close()
	}
}

// take returns the decoy, which has all of soFar then, and what it has answered.
func (m *mirror) take(soFar []byte) (decoy core.Stream, answer []byte, err error) {
	if m.stop(); m.err != nil && !errors.Is(m.err, context.Canceled) { // that is stop's doing
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
	_, _ = m.decoy.Write(soFar[m.sent:]) // one that has ended tells when it is read
	return m.decoy, m.answer, nil
}

// dial reaches the decoy.
func (r *Rejecter) dial(ctx context.Context) (core.Stream, error) {
	return r.network.DialStream(ctx, &core.Request{Target: r.decoy, Flow: new(core.Flow)})
}
