package pipeline

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Joiner relays between pairs of streams that belong to no request, such as a
// stranger and a decoy, and cuts those that are idle. It is safe for concurrent
// use.
type Joiner struct{ live *liveSet }

// NewJoiner returns a Joiner that cuts what moves nothing for as long as idle says.
func NewJoiner(idle time.Duration) *Joiner { return &Joiner{newLiveSet(idle, nil)} }

// Join relays until both directions have ended, and closes both streams. Cutting f
// ends it too. It returns the first failure, or nil.
func (j *Joiner) Join(f *core.Flow, client, upstream core.Stream) error {
	ended := make(chan error, 1)
	p := &joined{}
	p.bytes = relay{flow: f, client: client, upstream: upstream, done: func(err error) {
		client.Close()
		upstream.Close()
		ended <- err
	}}
	_ = j.live.enter(p, nil) // a pair has no bound of its own, and is never drained
	defer j.live.leave(p)
	f.OnCut(p.bytes.cut)
	p.bytes.start()
	return <-ended
}

// joined is one pair.
type joined struct {
	bytes  relay
	sweeps activity
}

var _ connection = (*joined)(nil)

func (p *joined) flow() *core.Flow                           { return p.bytes.flow }
func (*joined) network() core.Network                        { return core.TCP }
func (p *joined) progress() int64                            { return p.bytes.flow.Up.Load() + p.bytes.flow.Down.Load() }
func (p *joined) inQueues() int                              { return p.bytes.inQueues() }
func (*joined) idleTimeout(most time.Duration) time.Duration { return most }
func (*joined) lasts()                                       {}
func (p *joined) activity() *activity                        { return &p.sweeps }
func (*joined) user() string                                 { return "" }
func (*joined) id() uint64                                   { return 0 }
func (p *joined) snapshot() Connection                       { return Connection{State: Relaying} }
