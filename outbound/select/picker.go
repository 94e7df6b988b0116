package selector

import (
	"slices"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/outbound/group"
)

// picker picks the chosen member.
type picker struct {
	others bool
	chosen atomic.Pointer[group.Member] // set at the commit of the file
	choice *choice                      // set at the commit of the file
}

var _ group.Single = (*picker)(nil)

// Pick returns the chosen member, if it is among members, and else the first of them, or
// none without the option others.
func (p *picker) Pick(_ group.Question, members []*group.Member) int {
	i := slices.Index(members, p.chosen.Load())
	if i < 0 && p.others {
		return 0
	}
	return i
}

// Serves reports whether m is the chosen member.
func (p *picker) Serves(m *group.Member) bool { return m == p.chosen.Load() }
