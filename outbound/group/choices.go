package group

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Choices implements core.Chooser: the member that a request would take now, and those that
// would be tried if it failed.
func (g *Group) Choices(_ context.Context, r *core.Request, _ bool) ([]core.Choice, error) {
	now := time.Now()
	all := make([]core.Choice, len(g.members))
	for i, m := range g.members {
		all[i] = core.Choice{Verdict: core.VerdictNo, Text: m.text(now)}
	}
	left := slices.Clone(g.members)
	verdict := core.VerdictYes
	for n := 0; n < g.options.Attempts && len(left) > 0; n++ {
		m := g.foresee(Question{Request: r, Attempt: n, Dry: true}, left, now)
		if m == nil {
			break
		}
		all[m.index].Verdict, verdict = verdict, core.VerdictSpare
		left = slices.DeleteFunc(left, func(other *Member) bool { return other == m })
	}
	if verdict == core.VerdictYes { // none
		return nil, g.noMember()
	}
	return all, nil
}

// foresee returns the member among left that pick would return, and begins no trial.
func (g *Group) foresee(q Question, left []*Member, now time.Time) *Member {
	var able, rest []*Member
	for _, m := range left {
		if m.health.isAble(now, g.options.Rest.Std()) {
			able = append(able, m)
		} else {
			rest = append(rest, m)
		}
	}
	if g.options.AllDown != "try" {
		rest = nil
	}
	for _, among := range [][]*Member{able, rest} {
		if len(among) == 0 {
			continue
		}
		if i := g.picker.Pick(q, among); i >= 0 {
			return among[i]
		}
	}
	return nil
}

// text tells how a member is: "41ms", "down since 12:03:07: connection refused".
func (m *Member) text(now time.Time) string {
	h := m.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.out.Load() && !now.Before(h.until):
		return fmt.Sprintf("down since %s, and due for a trial: %s", h.since.Format(time.TimeOnly), h.reason)
	case h.out.Load():
		return fmt.Sprintf("down since %s: %s", h.since.Format(time.TimeOnly), h.reason)
	case h.measured.Load() != 0:
		return time.Duration(h.delay.Load()).Round(100 * time.Microsecond).String()
	}
	return ""
}
