// Package pipeline serves streams and associations from their request to their end.
//
// HandleStream in stream.go is the whole life of a stream, HandlePackets in
// association.go that of an association. gone.go watches the client of a dial,
// relay.go moves a stream's bytes and reset.go passes its failures on, live.go cuts
// what is idle and drains the rest, events.go tells gates and observers.
package pipeline

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Pipeline is one chain at work: it is the Handler of an inbound, and holds the
// whole life of each of its streams and associations.
type Pipeline struct {
	cfg  Config
	live *liveSet

	passed core.Passed   // of a request that comes from elsewhere
	looped [2]core.Alarm // for loops of TCP and of UDP
}

// Never is the length of a time that does not pass.
const Never = time.Duration(math.MaxInt64)

// Config is what makes a Pipeline.
type Config struct {
	Name        string
	Log         *slog.Logger
	Gates       []core.Gate     // asked in order
	Observers   []core.Observer // notified of every connection
	Dialer      core.Dialer     // the whole chain after the inbound
	Path        []string        // names of the chain's outbounds, for Event.Path
	DialTimeout time.Duration
	IdleTimeout time.Duration  // after which what moves nothing is cut; Never for none
	KeepAlive   time.Duration  // between two probes of a silent peer; 0 for that of netio.KeepAlive, Never for none
	Budget      *budget.Budget // of the process; nil for none
	Loops       *netio.Loops   // finds requests that come back; nil for none
	Users       func() bool    // whether Totals has users; nil for no
	Record      func() bool    // whether somebody wants the steps of requests; nil for nobody
}

var _ core.Handler = (*Pipeline)(nil)

// New returns a Pipeline that serves from now on.
func New(cfg Config) *Pipeline {
	p := &Pipeline{cfg: cfg, passed: core.Passed{Pipeline: cfg.Name}, live: newLiveSet(cfg.IdleTimeout, cfg.Budget)}
	p.live.users = cfg.Users
	return p
}

// enter admits a connection to the live set, unless its request has come back to this
// pipeline.
func (p *Pipeline) enter(c connection, r *core.Request, live func()) error {
	if err := p.cfg.Loops.Enter(r, &p.passed); err != nil {
		looped := &p.looped[0]
		if r.Network == core.UDP {
			looped = &p.looped[1]
		}
		if _, say := looped.Count(time.Now()); say {
			p.cfg.Log.Warn("a request came back to its own pipeline and was refused: an outbound of it leads to this process; dial another server", slog.String("inbound", r.Client.Inbound), slog.String("network", string(r.Network)))
		}
		return err
	}
	p.record(r)
	return p.live.enter(c, live)
}

// record has the flow of a request keep its steps, if somebody wants to see them.
func (p *Pipeline) record(r *core.Request) {
	if p.cfg.Record == nil {
		return
	}
	err := panics.Call(func() error {
		if p.cfg.Record() {
			r.Flow.Record()
		}
		return nil
	})
	panics.Log(p.cfg.Log, "observer panicked", err)
}

// Drain refuses what is new and waits until what runs has ended, or until the
// context of streams ends; then it cuts the rest and returns how many there were.
// Associations are cut when the context of associations ends.
func (p *Pipeline) Drain(associations, streams context.Context) int {
	return p.live.drain(associations, streams)
}

// Live returns how many streams and associations are being served.
func (p *Pipeline) Live() int { return p.live.len() }

// Cut ends the stream or association with the number id, and reports whether there
// is one.
func (p *Pipeline) Cut(id uint64, cause error) bool {
	return p.live.cut(func(c connection) bool { return c.id() == id }, cause) > 0
}

// Connections returns what is being served, in no order.
func (p *Pipeline) Connections() []Connection {
	all := p.live.all(func(connection) bool { return true })
	snapshots := make([]Connection, len(all))
	for i, c := range all {
		snapshots[i] = c.snapshot()
	}
	return snapshots
}

// Connection tells of one stream or association that is being served.
type Connection struct {
	ID       uint64
	Pipeline string
	Network  core.Network
	Client   core.Client
	User     string
	Target   core.Addr // not valid for an association, which has many
	Path     []string  // see core.Event
	State    State
	Stages   core.Stages
	Up, Down int64 // bytes
}

// connection tells of a connection over n of the client from.
func (p *Pipeline) connection(n core.Network, r *core.Request, from core.Client, state State, times core.Stages) Connection {
	return Connection{
		ID: r.ID, Pipeline: p.cfg.Name, Network: n, Client: from, User: r.User, Path: p.pathOf(r.Flow),
		State: state, Stages: times, Up: r.Flow.Up.Load(), Down: r.Flow.Down.Load(),
	}
}

// State is how far a connection has come.
type State uint8

// The states, in the order in which a connection goes through them.
const (
	Waiting  State = iota // the client waits for a reply, and the target is dialled
	Promised              // the client has the reply that its target is reached, before the dial
	Relaying              // both sides are open
	Ended
)

// String returns the state in words.
func (s State) String() string {
	return [...]string{"waiting", "promised", "relaying", "ended"}[min(s, Ended)]
}
