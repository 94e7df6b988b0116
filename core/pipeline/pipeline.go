package pipeline

import (
	"context"
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
	"log/slog"
	"sync"
	"time"
)

// Pipeline is one chain at work: it is the Handler of an inbound, and holds the
// whole life of each of its streams and associations.
type Pipeline struct {
	cfg Config

	mu          sync.Mutex
	live        map[*running]struct{}     // guarded by mu, as all that follows
	packets     map[*association]struct{} // the same for UDP
	draining    bool                      // no more are taken
	empty       chan struct{}             // closed when both are empty, if someone waits
	sweep       *time.Timer               // runs while live is not empty
	packetSweep *time.Timer               // runs while packets is not empty
}

// PipelineConfig is what makes a Pipeline.
type Config struct {
	Name        string
	Log         *slog.Logger
	Gates       []core.Gate // asked in order
	Dialer      core.Dialer // the whole chain after the inbound
	DialTimeout time.Duration
	IdleTimeout time.Duration // after which what moves nothing is cut
}

var _ core.Handler = (*Pipeline)(nil)

// NewPipeline returns a Pipeline that serves from now on.
func New(cfg Config) *Pipeline {
	return &Pipeline{cfg: cfg, live: map[*running]struct{}{}, packets: map[*association]struct{}{}}
}

// HandleStream serves one stream from its request to its end:
//
//	dial, reply, relay
//
// in this order, or, if the dialer wants the client's first bytes,
//
//	reply, first payload, dial, relay
func (p *Pipeline) HandleStream(ctx context.Context, r *core.Request, pending core.Pending, live func()) {
	run := &running{request: r, began: time.Now(), pending: pending}
	if !p.enter(run, live) {
		pending.Reject(core.ErrShutdown)
		p.observe(r, core.TCP, run.began, core.Refused, core.ErrShutdown)
		return
	}
	defer p.unlessRelayed(run, pending)
	defer run.catch()

	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	r.Flow.SetEnd(cancel)
	r.Grant.Hold(r.Flow)

	var payload *netio.Buffer // holds r.Payload until it is sent
	defer func() { payload.Return() }()
	if wait := p.cfg.Dialer.PayloadWait(r); wait > 0 && len(r.Payload) == 0 {
		if !run.accept(pending) {
			return
		}
		payload = netio.BorrowSmallBuffer()
		if r.Payload, run.err = firstPayload(run.client, payload.B, wait); run.err != nil {
			return
		}
	}

	run.failed = true // until it is not, and if it panics
	if run.upstream, run.err = p.cfg.Dialer.DialStream(ctx, r); run.err != nil {
		return
	}
	run.failed = false
	r.Flow.Up.Add(int64(len(r.Payload)))
	r.Payload = nil

	if run.client == nil && !run.accept(pending) {
		return
	}
	p.observe(r, core.TCP, run.began, core.Opened, nil)
	run.relayed.Store(true)
	// The relay has goroutines of its own because this one has a deep stack,
	// which would be kept for as long as the stream lives.
	relay(r.Flow, run.client, run.upstream, func(err error) {
		run.err = err
		p.leave(run)
	})
}

// Admit asks the gates in order. Those that admitted a client that a later one
// refuses are told.
func (p *Pipeline) Admit(c core.Client) error {
	for i, g := range p.cfg.Gates {
		if err := p.ask(g, c); err != nil {
			for _, before := range p.cfg.Gates[:i] {
				p.tell(before, core.Event{Kind: core.Refused, Client: c, Err: err})
			}
			return err
		}
	}
	return nil
}

// ask asks one gate. A gate that panics admits nobody.
func (p *Pipeline) ask(g core.Gate, c core.Client) error {
	err := panics.Call(func() error { return g.Admit(c) })
	panics.Log(p.cfg.Log, "gate panicked", err)
	return err
}

// Observe passes e on to the gates.
func (p *Pipeline) Observe(e core.Event) {
	for _, g := range p.cfg.Gates {
		p.tell(g, e)
	}
}

// tell tells one gate, whose panic is its own.
func (p *Pipeline) tell(g core.Gate, e core.Event) {
	err := panics.Call(func() error {
		g.Observe(e)
		return nil
	})
	panics.Log(p.cfg.Log, "gate panicked", err)
}

// Drain refuses what is new and waits until what runs has ended, or until the
// context of streams ends; then it cuts the rest and returns how many there were.
// Associations are cut when the context of associations ends: they have no end
// of their own that is worth a wait.
func (p *Pipeline) Drain(associations, streams context.Context) int {
	p.mu.Lock()
	p.draining = true
	if len(p.live)+len(p.packets) == 0 {
		p.mu.Unlock()
		return 0
	}
	if p.empty == nil {
		p.empty = make(chan struct{})
	}
	empty := p.empty
	p.mu.Unlock()
	defer context.AfterFunc(associations, func() { p.cutPackets(core.ErrShutdown) })()
	select {
	case <-empty:
		return 0
	case <-streams.Done():
	}
	n := p.cutPackets(core.ErrShutdown) + p.cutAll(core.ErrShutdown)
	<-empty
	return n
}

// Live returns how many streams and associations are being served.
func (p *Pipeline) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live) + len(p.packets)
}

// left tells whoever waits if nothing is live any more. mu is held.
func (p *Pipeline) left() {
	if p.empty != nil && len(p.live)+len(p.packets) == 0 {
		close(p.empty)
		p.empty = nil
	}
}

func (p *Pipeline) cutAll(cause error) int {
	p.mu.Lock()
	all := make([]*running, 0, len(p.live))
	for run := range p.live {
		all = append(all, run)
	}
	p.mu.Unlock()
	var cuts sync.WaitGroup // side by side: some ends take a moment
	for _, run := range all {
		cuts.Go(func() { run.request.Flow.Cut(cause) })
	}
	cuts.Wait()
	return len(all)
}

// observe tells the gates of one step in the life of a request.
func (p *Pipeline) observe(r *core.Request, network core.Network, began time.Time, kind core.EventKind, err error) {
	if len(p.cfg.Gates) == 0 || r.Unattributed {
		return
	}
	p.Observe(core.Event{
		Kind:    kind,
		Client:  core.Client{Addr: r.Client, Network: network, Inbound: r.Inbound},
		Request: r, Authenticated: !r.Unproven, Err: err, Took: time.Since(began),
	})
}

// endOf returns the event that a stream's end is.
func endOf(run *running) core.EventKind {
	if run.failed {
		return failureOf(run.err)
	}
	return core.Closed
}

// failureOf returns the event that the failure of a connection to open is.
func failureOf(err error) core.EventKind {
	if errors.Is(err, core.ErrDenied) {
		return core.Refused
	}
	return core.DialFailed
}
