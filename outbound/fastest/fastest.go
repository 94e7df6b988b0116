// Package fastest is the outbound that takes the member with the shortest delay.
package fastest

import (
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// Options are the keys of an [outbound.x] table of kind "fastest".
type Options struct {
	_ core.About `help:"takes the member with the shortest delay: that of probes, or else of dials"`
	group.Options
	Within  option.Duration `toml:"within" default:"30ms" max:"1m" help:"a member serves on until another one is faster by more than this"`
	Measure option.Duration `toml:"measure" default:"2m" min:">0s" max:"24h" help:"without probe: a member whose delay is older than this gets one request, to measure it"`
}

// New returns the outbound. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Outbound, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	p := &picker{within: o.Within.Std()}
	if o.Probe == nil {
		p.measure = o.Measure.Std()
		p.asked = make([]atomic.Int64, len(o.Members))
	}
	p.serving.Store(-1)
	g, err := group.New(env, o.Options, p)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// picker picks the fastest member.
type picker struct {
	within  time.Duration
	measure time.Duration  // 0 with probes
	asked   []atomic.Int64 // when a member got its last request to measure it, in Unix nanoseconds
	serving atomic.Int64   // the index of the member that serves; -1 for none
}

var _ group.Single = (*picker)(nil)

// Pick returns the member to measure, if there is one, or the member that serves, unless
// another one is faster by more than p.within. Members without a delay come last.
func (p *picker) Pick(q group.Question, members []*group.Member) int {
	now := time.Now()
	best, serving := -1, -1
	var least, mine time.Duration
	for i, m := range members {
		delay, at := m.Delay()
		if q.Attempt == 0 && p.measures(m, at, now, q.Dry) {
			return i
		}
		if at.IsZero() {
			continue
		}
		if best < 0 || delay < least {
			best, least = i, delay
		}
		if int64(m.Index()) == p.serving.Load() {
			serving, mine = i, delay
		}
	}
	switch {
	case best < 0:
		return 0
	case serving >= 0 && mine-least <= p.within:
		return serving
	}
	if q.Attempt == 0 && !q.Dry {
		p.serving.Store(int64(members[best].Index()))
	}
	return best
}

// measures reports whether a request should measure m. It is asked for one request in
// p.measure, which a dry run is not.
func (p *picker) measures(m *group.Member, at, now time.Time, dry bool) bool {
	if p.measure == 0 || now.Sub(at) < p.measure {
		return false
	}
	asked := &p.asked[m.Index()]
	last := asked.Load()
	return now.UnixNano()-last >= int64(p.measure) && (dry || asked.CompareAndSwap(last, now.UnixNano()))
}

// Serves reports whether m was picked because it is the fastest.
func (p *picker) Serves(m *group.Member) bool { return int64(m.Index()) == p.serving.Load() }
