package match

import (
	"reflect"

	"github.com/umbra-proxy/umbra/core"
)

// maxCompared is how many entries of a rule are compared with an earlier one: a million take
// half a second.
const maxCompared = 100_000

var _ core.RuleComparer = (*Rule)(nil)

// HiddenBy implements core.RuleComparer. It compares targets one by one; all other lists must
// be the same in both rules, or missing in the earlier one.
func (r *Rule) HiddenBy(earlier core.Rule) (hidden, of int) {
	of = 1
	now := r.sets.Load()
	if r.options.Targets != nil {
		of = 0
		for _, t := range now.targets {
			of += t.Len()
		}
	}
	e, ok := earlier.(*Rule)
	if !ok || of > maxCompared || !e.options.holdsWhere(r.options) {
		return 0, of
	}
	if e.options.Targets == nil {
		return of, of
	}
	if r.options.Targets != nil {
		before := e.sets.Load()
		for _, t := range now.targets {
			hidden += t.Covered(before.targets)
		}
	}
	return hidden, of
}

// holdsWhere reports whether all lists of o but its targets hold where those of other do.
func (o Options) holdsWhere(other Options) bool {
	if len(o.NotTargets)+len(o.NotPorts)+len(o.NotSources)+len(o.NotUsers)+len(o.NotInbounds)+len(o.NotNetworks) > 0 || o.Share.percent != 0 {
		return false
	}
	within := func(list, others any) bool {
		return reflect.ValueOf(list).Len() == 0 || reflect.DeepEqual(list, others)
	}
	return within(o.Ports, other.Ports) && within(o.Sources, other.Sources) && within(o.Users, other.Users) &&
		within(o.Inbounds, other.Inbounds) && within(o.Networks, other.Networks)
}
