package otel

import (
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// record is a copy of what a trace needs of a connection.
type record struct {
	kind     core.EventKind
	pipeline string
	client   core.Client
	path     []string
	stages   core.Stages
	err      error
	result   string

	id       uint64 // as all that follows, of the request: 0 if none was made
	user     string
	target   core.Addr
	up, down int64
	steps    []core.Step
}

// recordOf returns the record of an event that ends a connection.
func recordOf(e core.Event, result string) record {
	r := record{
		kind: e.Kind, pipeline: e.Pipeline, client: e.Client, path: slices.Clone(e.Path), stages: e.Stages, err: e.Err, result: result,
	}
	if q := e.Request; q != nil {
		r.id, r.user, r.target = q.ID, q.User, q.Target
		r.up, r.down, r.steps = q.Flow.Up.Load(), q.Flow.Down.Load(), slices.Clone(q.Flow.Steps())
	}
	return r
}

// span returns when the connection began and ended.
func (r *record) span() (from, to time.Time) {
	from, to = r.stages.Accepted, r.stages.Ended
	if to.IsZero() {
		to = time.Now()
	}
	if from.IsZero() || from.After(to) {
		from = to
	}
	return from, to
}
