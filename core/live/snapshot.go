package live

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/journey"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/core/tally"
	"github.com/umbra-proxy/umbra/core/view"
)

const (
	trouble      = time.Minute         // how long a failure is shown
	expiresSoon  = 14 * 24 * time.Hour // of a certificate
	mostCounts   = 64                  // of one component
	groupTimeout = time.Second
)

// Snapshot implements view.Source.
func (s *Source) Snapshot() view.Snapshot {
	f, notReady := s.current()
	v := view.Snapshot{
		Time: time.Now(), Generation: s.generation(), Ready: notReady == "", Reason: notReady,
		Pipelines: []view.PipelineState{}, Components: map[string]view.ComponentState{},
	}
	if f == nil {
		return v
	}
	sums := s.engine.Outbounds()
	counts := s.counts()
	for id, c := range f.plan.Components {
		state := view.ComponentState{State: view.OK, Counts: counts[id]}
		switch core.Section(c.Section) {
		case core.SectionOutbound:
			branches := slices.ContainsFunc(c.References, func(r plan.Reference) bool { return r.Use == plan.UseBranch || r.Use == plan.UseRule })
			s.outbound(id, sums[id], branches, &state)
		case core.SectionInbound:
			state.Counts = append(state.Counts, countsBy(metrics.HandshakeFailures, "reason", s.engine.Tally().Failures(c.Name))...)
		}
		worsen(&state, v.Time)
		v.Components[id] = state
	}
	for _, id := range f.groups {
		state := v.Components[id.String()]
		s.members(id, &state)
		v.Components[id.String()] = state
	}
	totals := s.engine.Totals(false)
	for _, p := range f.plan.Pipelines {
		t, in := totals[p.Name], inboundOf(f, p)
		state := view.PipelineState{
			Name: p.Name, Streams: t.Streams.Live, UDP: t.Associations.Live, Accepted: s.engine.Tally().Accepted(in),
			Up: t.Streams.Up + t.Associations.Up, Down: t.Streams.Down + t.Associations.Down,
			Ended: s.engine.Tally().Results(p.Name),
		}
		for _, c := range v.Components["inbound."+in].Counts {
			if c.Metric == metrics.Handshakes.Name {
				state.Handshakes = int(c.Value)
			}
		}
		v.Pipelines = append(v.Pipelines, state)
	}
	return v
}

// inboundOf returns the name of a pipeline's inbound.
func inboundOf(f *face, p *plan.Pipeline) string {
	for _, st := range p.Stages {
		if c := f.plan.Components[st.Component]; st.Role == plan.Inbound && c != nil {
			return c.Name
		}
	}
	return ""
}

// outbound sets the state of an outbound. One with branches has trouble at most: it is a
// branch that failed.
func (s *Source) outbound(id string, now pipeline.Sum, branches bool, state *view.ComponentState) {
	of := s.engine.Tally().Outbound(id)
	state.Connections, state.Up, state.Down = now.Live, now.Up, now.Down
	state.Counts = append(state.Counts, countsBy(metrics.Dials, "result", of.Results())...)
	failed := of.LastFailure()
	if failed.At.IsZero() {
		return
	}
	state.LastError, state.LastErrorAt = failed.Err, failed.At
	switch {
	case time.Since(failed.At) > trouble:
	case failed.Since && !failed.AtTarget && !branches:
		state.State = view.Bad
	default:
		state.State = view.Trouble
	}
}

// countsBy returns counters by a label, in order.
func countsBy(m *core.Metric, label string, all map[string]uint64) []view.Count {
	var counts []view.Count
	for _, value := range slices.Sorted(maps.Keys(all)) {
		counts = append(counts, view.Count{Metric: m.Name, Labels: map[string]string{label: value}, Value: float64(all[value])})
	}
	return counts
}

// counts returns the figures of components, but for histograms and those of users.
func (s *Source) counts() map[string][]view.Count {
	all := map[string][]view.Count{}
	s.engine.EachFigure(func(id config.ID, f core.Figure) {
		name := id.String()
		if len(all[name]) >= mostCounts {
			return
		}
		if c, ok := countOf(id, f); ok {
			all[name] = append(all[name], c)
		}
	})
	return all
}

// countOf returns a figure of a component as a count, and whether it can be one.
func countOf(id config.ID, f core.Figure) (view.Count, bool) {
	if f.Metric == nil || f.Metric.Kind == core.Histogram || slices.Contains(f.Metric.Labels, "user") || len(f.Labels) != len(f.Metric.Labels) ||
		math.IsNaN(f.Value) || math.IsInf(f.Value, 0) { // no JSON
		return view.Count{}, false
	}
	labels := map[string]string{}
	for i, l := range f.Metric.Labels {
		if l != string(id.Section) && f.Labels[i] != id.Name && f.Labels[i] != id.String() { // that says whose it is
			labels[l] = f.Labels[i]
		}
	}
	return view.Count{Metric: f.Metric.Name, Labels: labels, Value: f.Value}, true
}

// worsen makes the state of a component worse if a figure says so.
func worsen(state *view.ComponentState, now time.Time) {
	for _, c := range state.Counts {
		switch {
		case c.Metric == metrics.StoreUp.Name && c.Value == 0:
			state.State = view.Bad
			state.LastError = "its store does not answer"
		case c.Metric == metrics.CertificateNotAfter.Name:
			ends := time.Unix(int64(c.Value), 0)
			if !now.Before(ends) {
				state.State, state.LastError = view.Bad, "its certificate has ended on "+ends.Format(time.DateOnly)
			} else if ends.Sub(now) < expiresSoon {
				state.State, state.LastError = view.Trouble, "its certificate ends on "+ends.Format(time.DateOnly)
			}
		}
	}
}

// members sets the members of a group, and its state by theirs.
func (s *Source) members(id config.ID, state *view.ComponentState) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	var group struct{ Members []view.Member }
	if s.list(ctx, id, []string{"list"}, &group) != nil {
		return
	}
	state.Members = group.Members
	out := 0
	for _, m := range group.Members {
		if m.State == "out" {
			out++
		}
	}
	switch {
	case out == 0:
	case out == len(group.Members):
		state.State = view.Bad
	case state.State == view.OK:
		state.State = view.Trouble
	}
}

// journeyOf returns a record as the API has it.
func journeyOf(r *journey.Record, whole bool) view.Journey {
	s, clients := r.Stages, option.ClientsCut
	if whole {
		clients = option.ClientsFull
	}
	at := r.Client.Addr
	j := view.Journey{
		Number: r.Number, ID: r.ID, Pipeline: r.Pipeline, Inbound: r.Client.Inbound, Network: string(r.Network), Client: clients.Show(at),
		User: r.User, Path: r.Path, Began: s.Accepted, Took: milliseconds(s.Ended.Sub(s.Accepted)), Up: r.Up, Down: r.Down, Result: r.Result, Steps: []view.Step{},
	}
	if r.Target.IsValid() {
		j.Target = r.Target.String()
	}
	if r.Err != nil {
		j.Error = clients.Hide(r.Err.Error(), at)
	}
	part := func(kind string, from, to time.Time, failed bool) {
		if from.IsZero() || to.Before(from) {
			return
		}
		step := view.Step{Kind: kind, At: milliseconds(from.Sub(s.Accepted)), Took: milliseconds(to.Sub(from))}
		if failed {
			step.Error = j.Error
		}
		j.Steps = append(j.Steps, step)
	}
	switch {
	case r.Kind == core.HandshakeFailed:
		part("admit", s.Accepted, s.Admitted, false)
		part("handshake", cmp.Or(s.Admitted, s.Accepted), s.Ended, true)
		return j
	case r.ID == 0: // a gate refused the client
		part("admit", s.Accepted, s.Ended, true)
		return j
	}
	part("admit", s.Accepted, s.Admitted, false)
	part("handshake", cmp.Or(s.Admitted, s.Accepted), s.Requested, false)
	for _, step := range r.Steps {
		v := view.Step{
			Kind: string(step.Kind), Name: step.Name, Detail: step.Detail, At: milliseconds(step.Began.Sub(s.Accepted)), Took: milliseconds(step.Took),
		}
		if step.Err != nil {
			v.Error = clients.Hide(step.Err.Error(), at)
		}
		j.Steps = append(j.Steps, v)
	}
	part("answer", cmp.Or(s.Reached, s.Requested), s.Answered, false)
	part("end", s.Ended, s.Ended, r.Result != tally.OK)
	return j
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
