package route

import (
	"context"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// otherwise is the name of the last branch among those of rules, which are "rule.x".
const otherwise = "otherwise"

// decisions are counts of requests by the name of the branch. They are kept over a reload.
type decisions struct{ metrics.Counters }

// adopt takes over the counts of rules that the route had before.
func (o *Outbound) adopt(old *decisions) *decisions {
	if old == nil {
		old = new(decisions)
	}
	o.taken = old.Only(append(slices.Clone(o.names), otherwise))
	return old
}

// name returns the name of a branch.
func (o *Outbound) name(branch int) string {
	if branch < len(o.names) {
		return o.names[branch]
	}
	return otherwise
}

var _ core.Measurer = (*Outbound)(nil)

// Measure implements core.Measurer.
func (o *Outbound) Measure(yield func(core.Figure)) {
	for branch, n := range o.taken {
		yield(metrics.Value(metrics.RouteDecisions, float64(n.Load()), o.env.Name, o.name(branch)))
	}
}

// decide chooses the branch of a request, and notes it.
func (d *dialer) decide(ctx context.Context, r *core.Request) (int, error) {
	recording := r.Flow.Recording()
	var began time.Time
	if recording {
		began = time.Now()
	}
	branch, err := d.choose(ctx, r)
	if recording {
		d.record(r.Flow, branch, began, time.Since(began), err)
	}
	if err == nil {
		d.note(r.Flow, branch)
	}
	return branch, err
}

// note counts a request of a branch, and notes the rule in its path.
func (d *dialer) note(f *core.Flow, branch int) {
	d.taken[branch].Add(1)
	if f != nil && branch < len(d.names) {
		f.Choose(d.names[branch])
	}
}

// record keeps the choice of a branch as a step of the request.
func (d *dialer) record(f *core.Flow, branch int, began time.Time, took time.Duration, err error) {
	f.Step(core.Step{Kind: core.StepRule, Name: "outbound." + d.env.Name, Detail: d.name(branch), Began: began, Took: took, Err: err})
}
