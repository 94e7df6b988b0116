package route

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

var _ core.Chooser = (*Outbound)(nil)

// Choices implements core.Chooser.
func (o *Outbound) Choices(ctx context.Context, r *core.Request, ask bool) ([]core.Choice, error) {
	ips := r.IPs
	taken, depends := false, false
	var all []core.Choice
	for i, rule := range o.rules {
		if taken {
			all = append(all, core.Choice{Verdict: core.VerdictNotAsked})
			continue
		}
		j, why := explain(rule, r, ips)
		if j == core.RuleNeedsIPs && ask && o.resolver != nil {
			found, err := o.resolver.LookupIP(ctx, r.Target.Name())
			if err == nil && len(found) == 0 {
				err = &net.DNSError{Err: "no address", Name: r.Target.Name(), IsNotFound: true}
			}
			if err != nil {
				return nil, fmt.Errorf("%s needs the addresses of %s: %w", o.names[i], r.Target.Name(), err)
			}
			ips = found
			j, why = explain(rule, r, ips)
		}
		c := core.Choice{Verdict: core.VerdictNo, Why: why}
		switch {
		case j == core.RuleHolds:
			c.Verdict, taken = held(depends), true
		case j == core.RuleNeedsIPs: // without a resolver here, a stage before the route finds them
			c.Verdict, depends = core.VerdictDepends, true
		}
		all = append(all, c)
	}
	last := core.Choice{Verdict: held(depends)}
	if taken {
		last.Verdict = core.VerdictNotAsked
	}
	return append(all, last), nil
}

// held returns the verdict for a branch that holds. depends says that one before it may too.
func held(depends bool) core.Verdict {
	if depends {
		return core.VerdictDepends
	}
	return core.VerdictYes
}

// explain judges by a rule, and tells why if the rule can.
func explain(rule core.Rule, r *core.Request, ips []netip.Addr) (core.Judgement, []core.RuleReason) {
	if e, ok := rule.(core.RuleExplainer); ok {
		return e.Explain(r, r.Target, ips)
	}
	return rule.Judge(r, r.Target, ips), nil
}
