// Package failures says in the log, in few lines, why requests fail: at once for the first
// failure of a kind, and then how many more there were in the last minute. Connections that
// failed have lines of their own at level debug.
package failures

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
)

const (
	every    = time.Minute // the interval between lines of one kind
	maxKinds = 256         // of failures at once; further ones share a line for each reason
	unheard  = 5           // requests in a row without an answer after which that is told
)

// Reporter is a core.Observer that logs failures of requests.
type Reporter struct {
	log  *slog.Logger
	hops atomic.Pointer[map[string]bool]

	mu     sync.Mutex
	kinds  map[kind]*tally // guarded by mu, as all that follows
	silent map[string]int  // by path: requests in a row that a hop left without an answer
	closed bool
}

var _ core.DropObserver = (*Reporter)(nil)

// kind is what failures have in common that share a line.
type kind struct {
	where, reason string
	dropped       bool // datagrams, not requests
	atInbound     bool // where is an inbound
	short         bool // connections, for lack of a resource, which is the reason
}

// tally is a kind of which a line was logged within the last interval.
type tally struct {
	first int    // datagrams in that line
	more  int    // failures since that line
	err   string // of the last one
	short budget.Shortage
	timer *time.Timer
}

// New returns a Reporter.
func New(log *slog.Logger) *Reporter {
	r := &Reporter{log: log, kinds: map[kind]*tally{}, silent: map[string]int{}}
	r.SetHops(nil)
	return r
}

// SetHops sets the outbounds that pass requests on to a server of the configuration, by
// their names in Event.Path.
func (r *Reporter) SetHops(hops map[string]bool) { r.hops.Store(&hops) }

// Observe counts a failure, or an answer.
func (r *Reporter) Observe(e core.Event) {
	switch {
	case !e.Kind.Ends() || e.Request == nil && !errors.Is(e.Err, core.ErrCrowded) || errors.Is(e.Err, core.ErrShutdown):
	case errors.Is(e.Err, core.ErrCrowded):
		r.count(kind{where: e.Client.Inbound, reason: "crowded"}, e.Err)
	case (e.Kind == core.DialFailed || core.IsUnopened(e.Err)) && !errors.Is(e.Err, context.Canceled): // else the client has left
		r.count(kind{where: strings.Join(e.Path, " > "), reason: reasonOf(e.Err)}, e.Err)
	case e.Kind == core.Closed && !e.Stages.Reached.IsZero() && len(e.Path) > 0 && (*r.hops.Load())[e.Path[len(e.Path)-1]]:
		r.answered(strings.Join(e.Path, " > "), e.Request.Flow.Up.Load() > 0, e.Request.Flow.Down.Load() > 0)
	}
}

// ObserveDrops counts datagrams that an association has dropped.
func (r *Reporter) ObserveDrops(all core.Drops) {
	for _, d := range all.Dropped {
		k := kind{where: strings.Join(all.Path, " > "), reason: string(d.Reason), dropped: true, atInbound: d.AtInbound}
		if d.AtInbound {
			k.where = all.Client.Inbound
		}
		r.mu.Lock()
		r.add(k, tally{first: d.Count})
		r.mu.Unlock()
	}
}

// answered counts a request that has ended and that a hop answered, or did not.
func (r *Reporter) answered(path string, asked, heard bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case heard:
		delete(r.silent, path)
		return
	case !asked || len(r.silent) >= maxKinds && r.silent[path] == 0:
		return
	}
	if r.silent[path]++; r.silent[path] >= unheard {
		r.add(kind{where: path, reason: silence}, tally{first: 1})
	}
}

// count counts a failure.
func (r *Reporter) count(k kind, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(k, tally{first: 1, err: strings.ReplaceAll(err.Error(), "\n", "; ")})
}

// Short counts a connection that was refused or ended for lack of a resource. It does not
// block.
func (r *Reporter) Short(s budget.Shortage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(kind{reason: string(s.Of), short: true}, tally{first: 1, short: s})
}

// add counts the failures of next.first, and logs them if they are the first ones of their
// kind. mu is held.
func (r *Reporter) add(k kind, next tally) {
	t := r.kinds[k]
	if t == nil && len(r.kinds) >= maxKinds {
		k.where = "others"
		t = r.kinds[k]
	}
	if t != nil {
		t.more += next.first
		t.err, t.short = next.err, next.short
		return
	}
	if r.closed {
		return
	}
	first := next // so that next stays on the stack of other calls
	t = &first
	t.timer = time.AfterFunc(every, func() { r.tell(k, t) })
	r.kinds[k] = t
	r.write(k, t)
}

// tell logs what came within the interval, and forgets a kind of which nothing came.
func (r *Reporter) tell(k kind, t *tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if t.more == 0 {
		delete(r.kinds, k)
		return
	}
	r.write(k, t)
	t.more = 0
	t.timer.Reset(every)
}

// write logs a line. mu is held.
func (r *Reporter) write(k kind, t *tally) {
	if k.short {
		r.writeShort(k, t)
		return
	}
	message, key := "requests failed", "outbound"
	attrs := make([]slog.Attr, 0, 6)
	switch k.reason {
	case silence:
		message = "no answer to any request"
		attrs = append(attrs, slog.Int("requests", r.silent[k.where]))
	case "crowded":
		message, key = "a bound is reached", "inbound"
	}
	if k.dropped {
		message, key = "datagrams dropped", "outbound"
		if k.atInbound {
			key = "inbound"
		}
		if t.more == 0 {
			attrs = append(attrs, slog.Int("datagrams", t.first))
		}
	}
	attrs = append(attrs, slog.String(key, strings.TrimPrefix(strings.TrimPrefix(k.where, "inbound."), "outbound.")), slog.String("reason", k.reason))
	if t.more > 0 {
		attrs = append(attrs, slog.Int("more", t.more), slog.Duration("within", every))
	}
	if t.err != "" {
		attrs = append(attrs, slog.String("err", t.err))
	}
	if hint := r.hint(k); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	r.log.LogAttrs(context.Background(), slog.LevelWarn, message, attrs...)
}

// Close logs what was counted and not told yet, and stops the Reporter.
func (r *Reporter) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for k, t := range r.kinds {
		t.timer.Stop()
		if t.more > 0 {
			r.write(k, t)
			t.more = 0
		}
	}
}
