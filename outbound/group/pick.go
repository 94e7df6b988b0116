package group

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// pick returns the member to try next for a request, or nil. tried tells which were tried
// already, by index; nil if none was.
func (g *Group) pick(q Question, tried []bool, now time.Time) *Member {
	for _, m := range g.members {
		g.look(m, now)
	}
	in := g.members
	if tried != nil || g.anyOut() {
		in = g.able(tried, now)
	}
	for len(in) > 0 {
		i := g.picker.Pick(q, in)
		if i < 0 {
			break
		}
		if m := in[i]; m.health.claim(now, g.options.Rest.Std()) {
			return m
		}
		in = without(in, i) // another request has begun the trial
	}
	if g.options.AllDown != "try" {
		return nil
	}
	var rest []*Member
	for i, m := range g.members {
		if m.IsOut() && (tried == nil || !tried[i]) {
			rest = append(rest, m)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	if i := g.picker.Pick(q, rest); i >= 0 {
		return rest[i]
	}
	return nil
}

// anyOut reports whether a member is out.
func (g *Group) anyOut() bool {
	for _, m := range g.members {
		if m.health.out.Load() {
			return true
		}
	}
	return false
}

// able returns the members that were not tried and are in, or may have a trial.
func (g *Group) able(tried []bool, now time.Time) []*Member {
	able := make([]*Member, 0, len(g.members))
	for i, m := range g.members {
		if tried != nil && tried[i] {
			continue
		}
		ok, c := m.health.mayTry(now, g.options.Rise, g.options.Rest.Std())
		g.told(m, c)
		if ok {
			able = append(able, m)
		}
	}
	return able
}

// without returns a copy of members without one of them.
func without(members []*Member, i int) []*Member {
	rest := make([]*Member, 0, len(members)-1)
	return append(append(rest, members[:i]...), members[i+1:]...)
}

// use notes that requests go through m now, where one member serves all.
func (g *Group) use(m *Member) {
	if g.single != nil && g.current.Load() != m && !m.IsOut() && g.single.Serves(m) {
		g.SwitchTo(m)
	}
}

// SwitchTo makes m the member that serves all requests from now: what runs through the
// others has been left. A Picker that is Single calls it when a person has chosen; else the
// first request does.
func (g *Group) SwitchTo(m *Member) {
	left := g.current.Swap(m)
	if left == m {
		return
	}
	g.kept.epoch.Add(1)
	g.kept.serve(m.name)
	if left != nil {
		g.cut(left)
	}
}

// cut cuts the streams through a member that was left, with on_switch = "cut".
func (g *Group) cut(m *Member) {
	if g.options.OnSwitch != "cut" {
		return
	}
	h := m.health
	h.mu.Lock()
	flows := h.flows
	h.flows = nil
	h.mu.Unlock()
	for f := range flows {
		f.Cut(errLeft)
	}
}

// track follows a stream through m to its end.
func (g *Group) track(m *Member, r *core.Request, began time.Time) {
	h, f, target := m.health, r.Flow, r.Target
	h.running.Add(1)
	if g.options.OnSwitch == "cut" {
		h.mu.Lock()
		if h.flows == nil {
			h.flows = map[*core.Flow]struct{}{}
		}
		h.flows[f] = struct{}{}
		h.mu.Unlock()
	}
	isWatched := h.watched.add(watch{f, target, began})
	f.OnEnd(func() {
		h.running.Add(-1)
		if isWatched {
			h.watched.remove(f)
		}
		if g.options.OnSwitch == "cut" {
			h.mu.Lock()
			delete(h.flows, f)
			h.mu.Unlock()
		}
		g.ended(m, f, target, began)
	})
}

// ended notes what a stream says of its member: whether there was an answer.
func (g *Group) ended(m *Member, f *core.Flow, target core.Addr, began time.Time) {
	h := m.health
	now := time.Now()
	switch {
	case f.Down.Load() > 0:
		h.hear(began)
		if h.out.Load() {
			_, c := h.mayTry(now, g.options.Rise, g.options.Rest.Std())
			g.told(m, c)
		}
	case f.Up.Load() > 0 && now.Sub(began) >= silentAfter:
		g.told(m, h.keepSilent(now, began, target, g.options.Fall, g.options.Rest.Std()))
	}
}
