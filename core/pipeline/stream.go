package pipeline

import (
	"context"
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// running is one stream that a pipeline serves.
type running struct {
	request          *core.Request
	began            time.Time
	pending          core.Pending
	client, upstream core.Stream // nil until they are there
	relayed          atomic.Bool // both are there
	err              error       // why it ended; nil for an orderly end
	failed           bool        // the dial did not succeed

	// What the last sweep saw, and how many in a row saw the same.
	up, down int64
	quiet    int
	queued   int  // bytes in the send queues of both sides when it grew quiet
	seen     bool // a sweep has been here
	kept     bool // keep-alive is on
}

// sweepsPerIdle is how many times within an idle timeout streams are looked at;
// one is cut up to an eighth late, never early.
const sweepsPerIdle = 8

// enter takes a stream into the live set; it reports false while draining.
func (p *Pipeline) enter(run *running, live func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return false
	}
	p.live[run] = struct{}{}
	tell(live)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.cfg.IdleTimeout/sweepsPerIdle, p.look)
	}
	return true
}

// leave ends a stream: it closes both sides, takes it out of the live set, and
// tells the log and the gates.
func (p *Pipeline) leave(run *running) {
	flow := run.request.Flow
	if cause := flow.Cause(); cause != nil && !run.failed {
		run.err = cause
	}
	if run.client != nil {
		if run.failed {
			run.breakPromise()
		}
		run.client.Close()
	}
	if run.upstream != nil {
		run.upstream.Close()
	}
	p.log("stream", run.request, run.began, run.err)
	p.observe(run.request, core.TCP, run.began, endOf(run), run.err)
	run.request.Grant.Release(flow)

	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, run)
	if len(p.live) == 0 {
		p.sweep.Stop()
		p.sweep = nil
	}
	p.left()
}

// look goes over the live streams and cuts those whose counters have stood still
// for the idle timeout. Counters cost a moving stream nothing, where a deadline
// for each read would.
//
// It also turns keep-alive on for the upstream of each stream that it sees for
// the first time: most streams end sooner and are spared the system calls.
func (p *Pipeline) look() {
	var idle, fresh []*running
	p.mu.Lock()
	for run := range p.live {
		if !run.kept && run.relayed.Load() {
			run.kept = true
			fresh = append(fresh, run)
		}
		up, down := run.request.Flow.Up.Load(), run.request.Flow.Down.Load()
		if up != run.up || down != run.down || !run.seen {
			run.up, run.down, run.quiet, run.seen = up, down, 0, true
			continue
		}
		if run.quiet++; run.quiet == 1 {
			run.queued = run.inQueues()
		}
		if run.quiet < sweepsPerIdle {
			continue
		}
		// A slow reader moves bytes out of the kernel's queues long before there
		// is room for the next burst.
		if run.inQueues() != run.queued {
			run.quiet = 0
			continue
		}
		idle = append(idle, run)
	}
	if p.sweep != nil {
		p.sweep.Reset(p.cfg.IdleTimeout / sweepsPerIdle)
	}
	p.mu.Unlock()
	for _, run := range fresh {
		if tcp := netio.TCP(run.upstream); tcp != nil {
			_ = tcp.SetKeepAliveConfig(netio.KeepAlive()) // it may just have been closed
		}
	}
	for _, run := range idle {
		run.request.Flow.Cut(core.ErrIdle)
	}
}

// inQueues returns how many bytes the kernel has yet to deliver for a stream.
func (run *running) inQueues() int {
	if !run.relayed.Load() {
		return 0
	}
	return netio.SendQueue(run.client) + netio.SendQueue(run.upstream)
}

// accept answers the client; it reports whether that worked.
func (run *running) accept(pending core.Pending) bool {
	run.client, run.err = pending.Accept()
	return run.err == nil
}

// unlessRelayed ends a stream that did not come as far as its relay.
func (p *Pipeline) unlessRelayed(run *running, pending core.Pending) {
	if run.relayed.Load() {
		return
	}
	defer p.leave(run)
	defer run.catch()
	switch a, quiet := run.client.(core.Absorber); {
	case run.client == nil:
		pending.Reject(run.err)
	case quiet && isBroken(run.err) && !run.failed: // its first bytes, read before the dial
		a.Absorb()
	}
}

// breakPromise ends a client that was told of a success that did not come. It
// sees an error, but for one whose protocol makes no promise: that is rejected, as if
// it had not been accepted.
func (run *running) breakPromise() {
	_, quiet := run.client.(core.Absorber)
	if quiet || run.request.Unproven {
		run.pending.Reject(run.err)
		run.client = nopStream{}
		return
	}
	ending.Abort(run.client)
}

// nopStream is in the place of a stream that somebody else ends.
type nopStream struct{ core.Stream }

func (nopStream) Close() error { return nil }

// firstPayload waits for the client's first bytes, so that they leave in one
// packet with the header. That none come in time is no error, and neither is the
// client's end: the relay meets it again.
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

// catch makes a panic in the serving code the end of this stream alone.
func (run *running) catch() {
	if v := recover(); v != nil {
		run.err = panics.New(v)
	}
}

// log writes the line of a stream or an association that has ended: what broke a
// rule of the program is an error, all else is for debugging.
func (p *Pipeline) log(what string, r *core.Request, began time.Time, err error) {
	ctx := context.Background()
	if panics.Log(p.cfg.Log, what+" panicked", err, slog.Uint64("id", r.ID)) {
		return
	}
	if !p.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.Uint64("id", r.ID), slog.String("inbound", r.Inbound), slog.Any("client", r.Client),
		slog.Int64("up", r.Flow.Up.Load()), slog.Int64("down", r.Flow.Down.Load()),
		slog.Duration("took", time.Since(began)),
	}
	if r.Target.IsValid() { // an association has many
		attrs = append(attrs, slog.String("target", r.Target.String()))
	}
	if r.User != "" {
		attrs = append(attrs, slog.String("user", r.User))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	p.cfg.Log.LogAttrs(ctx, slog.LevelDebug, what+" closed", attrs...)
}

// tell calls live, unless it is nil.
func tell(live func()) {
	if live != nil {
		live()
	}
}
