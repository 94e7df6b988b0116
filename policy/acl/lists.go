package acl

import (
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/match"
)

// lists holds the sources of rules.
type lists struct {
	*match.Lists
	now rules // the current sets; rules copies its slices
}

// newLists reads all lists of the options. It continues after an error, so that all
// errors are reported.
func newLists(files *follow.Files, o Options) (*lists, error) {
	l := &lists{Lists: match.NewLists(files)}
	r := &l.now
	r.deny = o.Default == "deny"
	r.targets.allows, r.ports.allows = o.AllowTargets != nil, o.AllowPorts != nil
	r.sources.allows, r.users.allows = o.AllowSources != nil, o.AllowUsers != nil
	r.ports.allow, r.ports.deny = o.AllowPorts, o.DenyPorts
	l.Targets("allow_targets", o.AllowTargets, &r.targets.allow)
	l.Targets("deny_targets", o.DenyTargets, &r.targets.deny)
	l.Sources("allow_sources", o.AllowSources, &r.sources.allow)
	l.Sources("deny_sources", o.DenySources, &r.sources.deny)
	l.Users("allow_users", o.AllowUsers, &r.users.allow)
	l.Users("deny_users", o.DenyUsers, &r.users.deny)
	return l, l.Err()
}

// rules returns a snapshot of all lists.
func (l *lists) rules() (*rules, error) {
	r := l.now
	for _, list := range []struct {
		key  string
		sets *[]*match.Targets
	}{{"allow_targets", &r.targets.allow}, {"deny_targets", &r.targets.deny}} {
		if err := match.CheckAll(*list.sets); err != nil {
			return nil, &core.OptionError{Key: list.key, Err: err}
		}
		*list.sets = slices.Clone(*list.sets)
	}
	r.sources.allow, r.sources.deny = slices.Clone(r.sources.allow), slices.Clone(r.sources.deny)
	r.users.allow, r.users.deny = slices.Clone(r.users.allow), slices.Clone(r.users.deny)
	return &r, nil
}
