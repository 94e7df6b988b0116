package limit

import (
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// refusal is the limit for which something was refused.
type refusal uint8

const (
	clientConnections refusal = iota
	clientRate
	userConnections
	userRate
	quotaSpent
	tableFull
	limits // the number of limits
)

// limitNames are the labels of limits.
var limitNames = [limits]string{"client_connections", "client_rate", "user_connections", "user_rate", "quota", "users"}

// refusals are counts by limit.
type refusals [limits]atomic.Uint64

var _ core.Measurer = (*Policy)(nil)

// Measure implements core.Measurer.
func (p *Policy) Measure(yield func(core.Figure)) {
	for why, name := range limitNames {
		n := p.clients.refused[why].Load() + p.users.refused[why].Load()
		yield(metrics.Value(metrics.PolicyRefusals, float64(n), p.name, name))
	}
	p.link.mirror.Measure(yield, p.name)
	nobody := false // a user may be named as the nameless are
	for _, q := range p.users.quotas(time.Now()) {
		if q.Quota == 0 || q.User == nameless && nobody {
			continue
		}
		nobody = nobody || q.User == nameless
		yield(metrics.Value(metrics.QuotaUserBytes, float64(q.Quota), p.name, q.User))
		yield(metrics.Value(metrics.QuotaUserUsed, float64(q.Used), p.name, q.User))
	}
}
