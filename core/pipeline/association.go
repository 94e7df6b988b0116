package pipeline

import (
	"context"
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
	"io"
	"sync/atomic"
	"time"
)

// association is one UDP association that a pipeline serves. It has no goroutine
// of its own: whoever has datagrams for one side hands them to the other.
type association struct {
	pipeline         *Pipeline
	request          *core.Request
	began            time.Time
	client, upstream core.PacketConn
	err              error // why it could not be opened

	packets            atomic.Int64 // moved, both ways
	upPause, downPause atomic.Int64 // until when a meter lets nothing pass, in Unix nanoseconds

	// What the last sweep saw, under the pipeline's lock.
	seen  int64
	moved time.Time
}

// packetSweep is how often associations are looked at, unless the idle timeout
// asks for more.
const packetSweep = 2 * time.Second

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
func (p *Pipeline) HandlePackets(ctx context.Context, r *core.Request, pending core.PendingPackets, live func()) {
	a := &association{pipeline: p, request: r, began: time.Now()}
	if !p.enterPackets(a, live) {
		pending.Reject(core.ErrShutdown)
		p.observe(r, core.UDP, a.began, core.Refused, core.ErrShutdown)
		return
	}
	err := panics.Call(func() error { return a.open(ctx, pending) })
	switch {
	case err == nil:
	case a.client != nil: // a panic: its flow ends it
		r.Flow.Cut(err)
	default:
		a.err = err
		p.leavePackets(a)
	}
}

// open opens both sides. On an error neither is open.
func (a *association) open(ctx context.Context, pending core.PendingPackets) error {
	var client, upstream core.PacketConn
	err := panics.Call(func() (err error) {
		upstream, err = a.pipeline.cfg.Dialer.OpenPackets(ctx, a.request)
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
	flow := a.request.Flow
	a.pipeline.observe(a.request, core.UDP, a.began, core.Opened, nil)
	flow.SetEnd(func() { a.pipeline.leavePackets(a) })
	a.request.Grant.Hold(flow)
	upstream.Receive(func(ps []core.Packet) { a.move(client, ps, down) })
	client.Receive(func(ps []core.Packet) { a.move(upstream, ps, up) })
	return nil
}

// join sets both sides, which a sweep may look at from now on.
func (a *association) join(client, upstream core.PacketConn) {
	a.pipeline.mu.Lock()
	defer a.pipeline.mu.Unlock()
	a.client, a.upstream = client, upstream
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

// enterPackets takes an association into the live set; it reports false while
// draining.
func (p *Pipeline) enterPackets(a *association, live func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return false
	}
	a.moved = a.began
	p.packets[a] = struct{}{}
	tell(live)
	if p.packetSweep == nil {
		p.packetSweep = time.AfterFunc(p.packetSweepTime(), p.lookAtPackets)
	}
	return true
}

func (p *Pipeline) packetSweepTime() time.Duration {
	return min(packetSweep, p.cfg.IdleTimeout/sweepsPerIdle)
}

// leavePackets ends an association: it closes both sides, tells the log and the
// gates, and takes it out of the live set.
func (p *Pipeline) leavePackets(a *association) {
	kind, err := core.Closed, a.request.Flow.Cause()
	switch {
	case a.err != nil:
		kind, err = failureOf(a.err), a.err
	case errors.Is(err, io.EOF):
		err = nil
	}
	if a.client != nil {
		a.client.Close()
		a.upstream.Close()
	}
	p.log("association", a.request, a.began, err)
	p.observe(a.request, core.UDP, a.began, kind, err)
	a.request.Grant.Release(a.request.Flow)

	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.packets, a)
	if len(p.packets) == 0 {
		p.packetSweep.Stop()
		p.packetSweep = nil
	}
	p.left()
}

// lookAtPackets ends the associations that moved nothing for their idle timeout.
func (p *Pipeline) lookAtPackets() {
	now := time.Now()
	var idle []*association
	p.mu.Lock()
	for a := range p.packets {
		if n := a.packets.Load(); n != a.seen {
			a.seen, a.moved = n, now
			continue
		}
		most := p.cfg.IdleTimeout
		if t, ok := a.client.(IdleTimeouter); ok {
			most = t.IdleTimeout(most)
		}
		if now.Sub(a.moved) >= most {
			idle = append(idle, a)
		}
	}
	if p.packetSweep != nil {
		p.packetSweep.Reset(p.packetSweepTime())
	}
	p.mu.Unlock()
	for _, a := range idle {
		a.request.Flow.Cut(core.ErrIdle)
	}
}

// cutPackets ends all associations and returns how many there were.
func (p *Pipeline) cutPackets(cause error) int {
	p.mu.Lock()
	all := make([]*association, 0, len(p.packets))
	for a := range p.packets {
		all = append(all, a)
	}
	p.mu.Unlock()
	for _, a := range all {
		a.request.Flow.Cut(cause)
	}
	return len(all)
}
