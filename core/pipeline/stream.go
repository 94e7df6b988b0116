package pipeline

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// stream is one stream that a pipeline serves.
type stream struct {
	pipeline         *Pipeline
	request          *core.Request
	pending          core.Pending
	requested        time.Time
	reached          time.Time   // zero until the target is
	client, upstream core.Stream // nil until they are there
	dialling         bool        // the target is dialled, or could not be reached
	bytes            relay       // once both sides are there
	sweeps           activity
	keptAlive        bool // keep-alive is on; used by lasts alone

	mu        sync.Mutex
	state     State              // guarded by mu
	stopDial  context.CancelFunc // guarded by mu; nil once the stream relays
	absorbing core.Stream        // guarded by mu; the client, while it is absorbed before a dial
}

// HandleStream serves one stream from its request to its end:
//
//	dial, reply, relay
//
// in this order, or, if the dialer wants the client's first bytes,
//
//	reply, first payload, dial, relay
func (p *Pipeline) HandleStream(ctx context.Context, r *core.Request, pending core.Pending, live func()) {
	s := &stream{pipeline: p, request: r, pending: pending, requested: time.Now()}
	if err := p.enter(s, r, live); err != nil {
		pending.Reject(err)
		s.tell(core.Refused, err)
		s.reported()
		return
	}
	ctx, s.stopDial = context.WithTimeout(core.ForRequest(ctx, r), p.cfg.DialTimeout)
	defer s.stopDial()
	r.Flow.OnCut(s.cut)
	r.Grant.Hold(r.Flow)
	if l, ok := pending.(core.PendingLookup); ok {
		s.lookUp(ctx, l)
		return
	}
	if err := panics.Call(func() error { return s.open(ctx) }); err != nil {
		if ctx.Err() != nil {
			err = core.NoAnswer(err, p.cfg.DialTimeout)
		}
		s.fail(err)
		return
	}
	s.tell(core.Opened, nil)
	s.relay()
}

// open opens both sides.
func (s *stream) open(ctx context.Context) (err error) {
	dialer, r := s.pipeline.cfg.Dialer, s.request
	if wait := dialer.PayloadWait(r); wait > 0 && len(r.Payload) == 0 {
		if err := s.accept(Promised); err != nil {
			return err
		}
		payload := netio.BorrowSmallBuffer() // holds r.Payload until it is sent
		defer payload.Return()
		if r.Payload, err = firstPayload(s.client, payload.B, wait); err != nil {
			return err
		}
	}
	s.dialling = true
	if s.upstream, err = s.dial(ctx); err != nil {
		return err
	}
	s.dialling = false
	s.reached = time.Now()
	r.Flow.Up.Add(int64(len(r.Payload)))
	r.Payload = nil
	if s.client != nil {
		return nil
	}
	return s.accept(Waiting)
}

// accept tells the client that its target is reached. The stream is in state then.
func (s *stream) accept(state State) (err error) {
	if s.client, err = s.pending.Accept(); err != nil {
		s.client = nil
		return err
	}
	s.become(state)
	return nil
}

// firstPayload waits for the client's first bytes, so that they leave in one
// packet with the header. If none come in time it returns none, and so it does at
// the client's end, which the relay reads again.
func firstPayload(client core.Stream, into []byte, wait time.Duration) ([]byte, error) {
	if err := client.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	n, err := client.Read(into)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return into[:n], client.SetReadDeadline(time.Time{})
}

// relay moves bytes until the stream ends. It returns at once: the relay has
// goroutines of its own because this one has a deep stack, which would be kept for
// as long as the stream lives.
func (s *stream) relay() {
	s.bytes = relay{flow: s.request.Flow, client: s.client, upstream: s.upstream, done: s.relayed, unproven: s.request.Unproven}
	s.mu.Lock()
	s.state, s.stopDial = Relaying, nil
	s.mu.Unlock()
	if s.request.Flow.Cause() != nil { // it may have been cut in between
		s.bytes.cut()
	}
	s.bytes.start()
}

// relayed ends a stream that was relayed.
func (s *stream) relayed(err error) {
	if panicked := closeBoth(s.client, s.upstream); panicked != nil {
		err = panicked
	}
	s.leave(core.Closed, err)
}

// fail ends a stream that was not relayed. A panic of a client that waits for its
// reply goes on to the inbound, which has the connection.
func (s *stream) fail(err error) {
	kind := core.Closed
	if s.dialling {
		kind = failureKind(err)
	}
	panicked := panics.Call(func() error {
		s.endClient(err)
		return nil
	})
	if s.upstream != nil {
		if p := closeOne(s.upstream); panicked == nil {
			panicked = p
		}
	}
	if panicked != nil && s.client != nil {
		_ = closeOne(s.client)
	}
	switch cause := s.request.Flow.Cause(); {
	case panicked != nil:
		err = panicked
	case errors.Is(cause, core.ErrGone):
		kind, err = core.Closed, cause
	case cause != nil && !s.dialling:
		err = cause
	}
	s.leave(kind, err)
	if panicked != nil && s.client == nil {
		panic(panicked)
	}
}

// endClient ends the client of a stream that was not relayed.
func (s *stream) endClient(err error) {
	absorber, hides := s.client.(core.Absorber)
	switch {
	case s.client == nil: // it waits for its reply
		s.pending.Reject(err)
	case !s.dialling: // its first bytes could not be read
		if hides && isBroken(err) && s.absorbs() {
			absorber.Absorb()
		}
		s.client.Close()
	case hides || s.request.Unproven: // Accept sent it nothing
		s.pending.Reject(err)
	default: // it has a reply of success, and the dial failed
		ending.Reset(s.client)
	}
}

// absorbs prepares a cut of a client that is about to be absorbed. It reports false if
// the flow was cut already.
func (s *stream) absorbs() bool {
	s.mu.Lock()
	s.absorbing = s.client
	s.mu.Unlock()
	return s.request.Flow.Cause() == nil
}

// cut ends the stream in whatever state it is. The flow calls it.
func (s *stream) cut() {
	s.mu.Lock()
	stopDial, absorbing := s.stopDial, s.absorbing
	s.mu.Unlock()
	switch {
	case absorbing != nil:
		_ = closeOne(absorbing)
	case stopDial != nil:
		stopDial()
	default:
		s.bytes.cut()
	}
}

// leave takes an ended stream out of the live set and tells the log, the gates and
// the observers.
func (s *stream) leave(kind core.EventKind, err error) {
	s.become(Ended)
	s.pipeline.log("stream", s.request.Client, s.request, s.requested, err)
	s.tell(kind, err)
	s.pipeline.endFlow(s.request.Flow)
	s.request.Grant.Release(s.request.Flow)
	s.pipeline.live.leave(s)
	s.reported()
}

// reported calls Request.Ended: gates and observers have been notified of the end.
func (s *stream) reported() {
	if s.request.Ended != nil {
		s.request.Ended()
	}
}

// tell tells gates and observers of a step.
func (s *stream) tell(kind core.EventKind, err error) {
	if p := s.pipeline; p.observed() {
		p.Observe(p.event(kind, s.request, s.request.Client, s.stages(s.reached), err))
	}
}

// stages returns the times of the stream, with that of its target.
func (s *stream) stages(reached time.Time) core.Stages {
	return core.Stages{
		Accepted: s.request.Accepted, Admitted: s.request.Admitted, Requested: s.requested, Reached: reached, Answered: s.request.Flow.Answered(),
	}
}
