// Package failover is the outbound that takes the first of its members that is well.
package failover

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// Options are the keys of an [outbound.x] table of kind "failover".
type Options struct {
	_ core.About `help:"takes the first of its members that is well; the next ones stand in for it"`
	group.Options
}

// New returns the outbound. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Outbound, error) {
	g, err := group.New(env, o.Options, first{})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// first picks the first member.
type first struct{}

var _ group.Single = first{}

// Pick returns the first of members.
func (first) Pick(group.Question, []*group.Member) int { return 0 }

// Serves returns true.
func (first) Serves(*group.Member) bool { return true }
