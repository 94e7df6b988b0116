package pipeline

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// association is one UDP association that a pipeline serves. It has no goroutine
// of its own: the goroutine that has datagrams of one side hands them to the other.
type association struct {
	pipeline  *Pipeline
	request   *core.Request
	requested time.Time

	packets            atomic.Int64 // moved, both ways
	upPause, downPause atomic.Int64 // until when a meter lets nothing pass, in Unix nanoseconds
	sweeps             activity

	moving           sync.Mutex // held by Move
	mu               sync.Mutex
	state            State           // guarded by mu, as all that follows
	client, upstream core.PacketConn // nil until they are there
	from             core.Client     // the client, where it is now
	reached          time.Time
}

var (
	_ connection       = (*association)(nil)
	_ core.Association = (*association)(nil)
)

// IdleTimeouter is a client's PacketConn that knows better for how long it may be
// idle.
type IdleTimeouter interface {
	// IdleTimeout returns the time after which the association ends: most, or
	// less.
	IdleTimeout(most time.Duration) time.Duration
}

// HandlePackets opens the far side of an association and joins it to the client.
// It lasts until its flow is cut: by the inbound, because the client has gone or
// must make room, by an idle timeout, by a meter or by a drain.
func (p *Pipeline) HandlePackets(ctx context.Context, r *core.Request, pending core.PendingPackets, live func()) core.Association {
	a := &association{pipeline: p, request: r, requested: time.Now(), from: r.Client}
	if err := p.enter(a, r, live); err != nil {
		pending.Reject(err)
		a.end()
		a.tell(core.Refused, err)
		return a
	}
	err := panics.Call(func() error { return a.open(ctx, pending) })
	switch {
	case err == nil:
	case a.in(Waiting):
		a.leave(failureKind(err), err)
	default: // it panicked; the end of its flow ends it
		r.Flow.Cut(err)
	}
	return a
}

// open opens both sides. If it can't, neither is open.
func (a *association) open(ctx context.Context, pending core.PendingPackets) error {
	var client, upstream core.PacketConn
	err := panics.Call(func() (err error) {
		upstream, err = a.pipeline.cfg.Dialer.OpenPackets(core.ForRequest(ctx, a.request), a.request)
		return err
	})
	if err == nil {
		err = panics.Call(func() (err error) {
			client, err = pending.Accept()
			return err
		})
		if err != nil {
			upstream.Close()
		}
	}
	if err != nil {
		pending.Reject(err)
		return err
	}
	a.join(client, upstream)
	a.tell(core.Opened, nil)
	flow := a.request.Flow
	a.request.Grant.Hold(flow) // before OnCut: the end of a flow that was cut already releases it
	flow.OnCut(a.cut)
	upstream.Receive(func(ps []core.Packet) { a.move(client, ps, down) })
	client.Receive(func(ps []core.Packet) { a.move(upstream, ps, up) })
	return nil
}

// join sets both sides, which a sweep may look at from now on.
func (a *association) join(client, upstream core.PacketConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client, a.upstream, a.state, a.reached = client, upstream, Relaying, time.Now()
}

// move passes on a burst. A panic on the way ends this association alone.
func (a *association) move(dst core.PacketConn, ps []core.Packet, way direction) {
	if err := panics.Call(func() error { return a.write(dst, ps, way) }); err != nil {
		a.request.Flow.Cut(err)
	}
}

// write writes and counts a burst. Where a meter asks for a wait, what comes
// meanwhile is dropped, because nothing here may wait.
func (a *association) write(dst core.PacketConn, ps []core.Packet, way direction) error {
	pause := &a.downPause
	if way == up {
		pause = &a.upPause
	}
	if until := pause.Load(); until != 0 && time.Now().UnixNano() < until {
		a.request.Flow.Drop(core.DropPaused, len(ps))
		return nil
	}
	count, bytes := len(ps), 0
	for i := range ps {
		bytes += len(ps[i].Data)
	}
	n, err := dst.WritePackets(ps)
	if err != nil {
		return err
	}
	if n < count {
		bytes = bytes * n / count
	}
	a.packets.Add(int64(n))
	var wait time.Duration
	if way == up {
		wait, err = a.request.Flow.Take(bytes, 0)
	} else {
		wait, err = a.request.Flow.Take(0, bytes)
	}
	if wait > 0 {
		pause.Store(time.Now().Add(wait).UnixNano())
	}
	return err
}

// cut ends the association. The flow calls it.
func (a *association) cut() {
	err := a.request.Flow.Cause()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if panicked := closeBoth(a.client, a.upstream); panicked != nil {
		err = panicked
	}
	a.leave(core.Closed, err)
}

// leave takes an ended association out of the live set and tells the log, the
// gates and the observers.
func (a *association) leave(kind core.EventKind, err error) {
	from := a.end()
	a.pipeline.log("association", from, a.request, a.requested, err)
	a.tellDrops()
	a.tell(kind, err)
	a.pipeline.endFlow(a.request.Flow)
	a.request.Grant.Release(a.request.Flow)
	a.pipeline.live.leave(a)
}

// end sets the state and returns where the client was last.
func (a *association) end() core.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = Ended
	return a.from
}

// tell tells gates and observers of a step.
func (a *association) tell(kind core.EventKind, err error) {
	if !a.pipeline.observed() {
		return
	}
	a.mu.Lock()
	e := a.event(kind, a.from, err)
	a.mu.Unlock()
	a.pipeline.Observe(e)
}

// event returns a step of a client. mu is held.
func (a *association) event(kind core.EventKind, from core.Client, err error) core.Event {
	return a.pipeline.event(kind, a.request, from, a.stages(), err)
}

// stages returns the times of the association. mu is held.
func (a *association) stages() core.Stages {
	return core.Stages{
		Accepted: a.request.Accepted, Admitted: a.request.Admitted, Requested: a.requested, Reached: a.reached, Answered: a.request.Flow.Answered(),
	}
}

func (a *association) in(state State) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state == state
}

func (a *association) flow() *core.Flow    { return a.request.Flow }
func (*association) network() core.Network { return core.UDP }
func (a *association) progress() int64     { return a.packets.Load() }
func (*association) inQueues() int         { return 0 }
func (a *association) lasts()              { a.tellDrops() }
func (a *association) activity() *activity { return &a.sweeps }
func (a *association) user() string        { return a.request.User }
func (a *association) id() uint64          { return a.request.ID }

func (a *association) idleTimeout(most time.Duration) time.Duration {
	a.mu.Lock()
	client := a.client
	a.mu.Unlock()
	if t, ok := client.(IdleTimeouter); ok {
		return t.IdleTimeout(most)
	}
	return most
}

func (a *association) snapshot() Connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pipeline.connection(core.UDP, a.request, a.from, a.state, a.stages())
}
