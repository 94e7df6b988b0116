package engine

import (
	"log/slog"
	"maps"
	"runtime/debug"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/core/tally"
)

// userCounts says whether users are counted apart in a process.
type userCounts struct{ on atomic.Bool }

// CountUsers has the connections and bytes of users counted apart, or not, from now on.
func (e *Engine) CountUsers(on bool) { core.Shared[userCounts](e.process).on.Store(on) }

// Tally returns what is counted of connections.
func (e *Engine) Tally() *tally.Tally { return tally.Of(e.process) }

// Totals returns the totals of pipelines by name, since the start of the process, with those
// of users if they are wanted and counted: of many users, that is much.
func (e *Engine) Totals(users bool) map[string]pipeline.Totals {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := maps.Clone(e.gone)
	for name, gone := range all {
		if !users {
			gone.Users = nil
		}
		gone.Users = maps.Clone(gone.Users)
		all[name] = gone
	}
	for g := range e.serving {
		for _, p := range g.pipelines {
			sum := all[p.name]
			sum.Add(p.pipeline.Totals(users))
			all[p.name] = sum
		}
	}
	return all
}

// Outbounds returns what goes through each outbound and branch, by its ID, and went since the
// start of the process.
func (e *Engine) Outbounds() map[string]pipeline.Sum {
	e.mu.Lock()
	defer e.mu.Unlock()
	sums := maps.Clone(e.through)
	for g := range e.serving {
		for _, p := range g.pipelines {
			p.pipeline.Outbounds(sums)
		}
	}
	return sums
}

// Figures passes on the figures of the engine, of connections, and of each component of the
// running file that is a core.Measurer.
func (e *Engine) Figures(yield func(core.Figure)) {
	one := func(m *core.Metric, v float64, labels ...string) {
		yield(core.Figure{Metric: m, Value: v, Labels: labels})
	}
	users := map[string]pipeline.Sum{}
	for name, t := range e.Totals(true) {
		for network, sum := range map[core.Network]pipeline.Sum{core.TCP: t.Streams, core.UDP: t.Associations} {
			one(metrics.Connections, float64(sum.Live), name, string(network))
			one(metrics.Bytes, float64(sum.Up), name, string(network), "up")
			one(metrics.Bytes, float64(sum.Down), name, string(network), "down")
		}
		for user, sum := range t.Users {
			if user == "" {
				continue
			}
			all := users[user]
			all.Add(sum)
			users[user] = all
		}
	}
	for user, sum := range users {
		one(metrics.UserConnections, float64(sum.Live), user)
		one(metrics.UserBytes, float64(sum.Up), user, "up")
		one(metrics.UserBytes, float64(sum.Down), user, "down")
	}
	e.Tally().Measure(yield)
	e.EachFigure(func(_ config.ID, f core.Figure) { yield(f) })
}

// EachFigure passes on the figures of each component of the running file, with its ID. A
// panic of one is logged, and ends its own figures alone.
func (e *Engine) EachFigure(yield func(config.ID, core.Figure)) {
	e.mu.Lock()
	g := e.current
	e.mu.Unlock()
	if g == nil {
		return
	}
	for id, m := range g.measurers {
		func() {
			defer func() {
				if v := recover(); v != nil {
					e.log.Error("component panicked", slog.Any("component", id), slog.Any("err", v), slog.String("stack", string(debug.Stack())))
				}
			}()
			m.Measure(func(f core.Figure) { yield(id, f) })
		}()
	}
}
