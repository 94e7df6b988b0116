package core

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// running is one stream that a pipeline serves.
type running struct {
	request          *Request
	began            time.Time
	client, upstream Stream      // nil until they are there
	relayed          atomic.Bool // both are there
	err              error       // why it ended; nil for an orderly end
	failed           bool        // nothing was reached

	// What the last sweep saw, and how many in a row saw the same.
	up, down int64
	quiet    int
	kept     bool // keep-alive is on
}

// sweepsPerIdle is how many times within an idle timeout streams are looked at;
// one is cut up to an eighth late.
const sweepsPerIdle = 8

// enter takes a stream into the live set; it reports false while draining.
func (p *Pipeline) enter(run *running) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return false
	}
	p.live[run] = struct{}{}
	if run.request.taken != nil {
		run.request.taken()
		run.request.taken = nil
	}
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
		if run.failed { // the client was told of a success that did not come
			Abort(run.client)
		}
		run.client.Close()
	}
	if run.upstream != nil {
		run.upstream.Close()
	}
	p.log(run)
	p.observe(run, endOf(run), run.err)

	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, run)
	if len(p.live) > 0 {
		return
	}
	p.sweep.Stop()
	p.sweep = nil
	if p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
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
		if up != run.up || down != run.down {
			run.up, run.down, run.quiet = up, down, 0
			continue
		}
		if run.quiet++; run.quiet >= sweepsPerIdle {
			idle = append(idle, run)
		}
	}
	if p.sweep != nil {
		p.sweep.Reset(p.cfg.IdleTimeout / sweepsPerIdle)
	}
	p.mu.Unlock()
	for _, run := range fresh {
		if tcp := tcpConn(run.upstream); tcp != nil {
			_ = tcp.SetKeepAliveConfig(KeepAlive()) // it may just have been closed
		}
	}
	for _, run := range idle {
		run.request.Flow.Cut(ErrIdle)
	}
}

// firstPayload waits for the client's first bytes, so that they leave in one
// packet with the header. That none come in time is no error, and neither is the
// client's end: the relay meets it again.
func firstPayload(client Stream, into []byte, wait time.Duration) ([]byte, error) {
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
		run.err = newPanicError(v)
	}
}

// log writes the line of an ended stream: what broke a rule of the program is an
// error, all else is for debugging.
func (p *Pipeline) log(run *running) {
	var panicked *PanicError
	ctx := context.Background()
	if errors.As(run.err, &panicked) {
		p.cfg.Log.Error("stream panicked", slog.Uint64("id", run.request.ID),
			slog.Any("err", run.err), slog.String("stack", string(panicked.Stack)))
		return
	}
	if !p.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	r := run.request
	attrs := []slog.Attr{
		slog.Uint64("id", r.ID), slog.String("inbound", r.Inbound), slog.Any("client", r.Client),
		slog.String("target", r.Target.String()),
		slog.Int64("up", r.Flow.Up.Load()), slog.Int64("down", r.Flow.Down.Load()),
		slog.Duration("took", time.Since(run.began)),
	}
	if r.User != "" {
		attrs = append(attrs, slog.String("user", r.User))
	}
	if run.err != nil {
		attrs = append(attrs, slog.Any("err", run.err))
	}
	p.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "stream closed", attrs...)
}
