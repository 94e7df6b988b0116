package group

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Member is one of the outbounds among which a group chooses.
type Member struct {
	name     string
	id       string // "outbound.paris", as in a path
	index    int
	outbound core.Outbound
	kept     string  // the key of health in what is kept: the name and the digest of the tables; "" if that is not known
	health   *health // that of before, from the commit of the file on
}

// Name returns the name of the member's table.
func (m *Member) Name() string { return m.name }

// Index returns the position of the member in the options.
func (m *Member) Index() int { return m.index }

// Running returns how many connections and associations run through the member.
func (m *Member) Running() int { return int(m.health.running.Load()) }

// IsOut reports whether failures have taken the member out.
func (m *Member) IsOut() bool { return m.health.out.Load() }

// Delay returns how long the member takes, on average over the last requests or probes, and
// when that was measured last; zeros if it was not.
func (m *Member) Delay() (delay time.Duration, measured time.Time) {
	at := m.health.measured.Load()
	if at == 0 {
		return 0, time.Time{}
	}
	return time.Duration(m.health.delay.Load()), time.Unix(0, at)
}
