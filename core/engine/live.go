package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core/pipeline"
)

// Generation tells of a file that is served, or that was and has connections left.
type Generation struct {
	Number      int       // the first file of the process has 1
	Since       time.Time // when it began to serve
	Retired     bool      // another file has taken its place
	Pipelines   []string
	Connections int // streams and associations
}

// Connection is a stream or an association that is being served.
type Connection struct {
	Generation int
	pipeline.Connection
}

// Generations returns the file that is served and those that serve out their
// connections, the newest first.
func (e *Engine) Generations() []Generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Generation
	for g := range e.serving {
		of := Generation{Number: g.number, Since: g.since, Retired: g != e.current}
		for _, p := range g.pipelines {
			of.Pipelines = append(of.Pipelines, p.name)
			of.Connections += p.pipeline.Live()
		}
		all = append(all, of)
	}
	slices.SortFunc(all, func(a, b Generation) int { return cmp.Compare(b.Number, a.Number) })
	return all
}

// Connections returns the streams and associations of all generations, in the order
// in which their requests were made.
func (e *Engine) Connections() []Connection {
	var all []Connection
	for _, g := range e.generations() {
		for _, p := range g.pipelines {
			for _, c := range p.pipeline.Connections() {
				all = append(all, Connection{g.number, c})
			}
		}
	}
	slices.SortFunc(all, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Cut ends the stream or association with the number id, of whatever generation, and
// reports whether there is one. cause is logged as the reason of its end.
func (e *Engine) Cut(id uint64, cause error) bool {
	for _, g := range e.generations() {
		for _, p := range g.pipelines {
			if p.pipeline.Cut(id, cause) {
				return true
			}
		}
	}
	return false
}

// CutPipeline ends all streams and associations of a pipeline, of whatever generation. cause
// is logged as the reason of their end.
func (e *Engine) CutPipeline(name string, cause error) {
	for _, g := range e.generations() {
		for _, p := range g.pipelines {
			if p.name != name {
				continue
			}
			for _, c := range p.pipeline.Connections() {
				p.pipeline.Cut(c.ID, cause)
			}
		}
	}
}

func (e *Engine) generations() []*generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*generation, 0, len(e.serving))
	for g := range e.serving {
		all = append(all, g)
	}
	return all
}
