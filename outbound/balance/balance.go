// Package balance is the outbound that divides requests among its members.
package balance

import (
	"math/bits"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// Options are the keys of an [outbound.x] table of kind "balance".
type Options struct {
	_ core.About `help:"divides requests among its members: by turns, by client, user or target, or by how much they have to do"`
	group.Options
	By      string `toml:"by" default:"turn" oneof:"turn,client,user,target,least" help:"what decides: turns; the client's address, the user or the target, which then have the same member each time; or the fewest connections"`
	Weights []int  `toml:"weights" min:"1" max:"1000" help:"how much each member gets, in the order of members; all the same if left out"`
}

// New returns the outbound. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Outbound, error) {
	if n := len(o.Weights); n > 0 && n != len(o.Members) {
		return nil, core.BadOption("weights", "%d weights for %d members; give one for each", n, len(o.Members))
	}
	b := balance{weights: o.Weights}
	if o.Weights == nil {
		for range o.Members {
			b.weights = append(b.weights, 1)
		}
	}
	var p group.Picker
	switch o.By {
	case "client":
		p = &same{b, byClient}
	case "user":
		p = &same{b, byUser}
	case "target":
		p = &same{b, byTarget}
	case "least":
		p = &least{balance: b}
	default:
		p = &turn{balance: b}
	}
	g, err := group.New(env, o.Options, p)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// balance is what the pickers share.
type balance struct{ weights []int } // by index of the member

// weight returns the weight of a member.
func (b balance) weight(m *group.Member) int { return b.weights[m.Index()] }

// turn picks members by turns.
type turn struct {
	balance
	count atomic.Uint64
}

// golden is 2⁶⁴ divided by the golden ratio. Its multiples are spread evenly over all numbers
// of 64 bits, however many there are: members take turns that follow their weights from the
// first request on.
const golden = 0x9e3779b97f4a7c15

// Pick returns the member whose turn it is.
func (t *turn) Pick(q group.Question, members []*group.Member) int {
	total := 0
	for _, m := range members {
		total += t.weight(m)
	}
	at, _ := bits.Mul64(next(&t.count, q.Dry)*golden, uint64(total))
	for i, m := range members {
		w := uint64(t.weight(m))
		if at < w {
			return i
		}
		at -= w
	}
	return len(members) - 1
}

// next returns the next number of a count, and takes it unless dry.
func next(count *atomic.Uint64, dry bool) uint64 {
	if dry {
		return count.Load() + 1
	}
	return count.Add(1)
}

// least picks the member with the fewest connections for its weight.
type least struct {
	balance
	count atomic.Uint64
}

// Pick returns the member with the fewest connections. Of several, each has its turn.
func (l *least) Pick(q group.Question, members []*group.Member) int {
	n := len(members)
	begin := int(next(&l.count, q.Dry) % uint64(n))
	best, running := begin, members[begin].Running()
	for i := 1; i < n; i++ {
		at := (begin + i) % n
		m := members[at]
		if r := m.Running(); r*l.weight(members[best]) < running*l.weight(m) {
			best, running = at, r
		}
	}
	return best
}
