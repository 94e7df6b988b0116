package gen

import (
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core/metrics"
)

// alert is an alert of Prometheus.
type alert struct {
	name     string
	when     string // for the documentation, in words
	expr     string
	lasts    string // how long it must hold; "" for none
	severity string
	summary  string // of an alert that fires; a template of Prometheus
	help     string // what to do
	proof    proof
}

// proof is what a test of the rule feeds, in the notation of promtool.
type proof struct {
	series [][2]string // series with its values, one a minute
	silent string      // a time at which the alert does not fire
	fires  string      // a time at which it does
	labels string      // of the alert then, beside severity: instance="a", …
}

// alerts returns the alerts, the most urgent first.
func alerts() []alert {
	return []alert{
		groupDown(), storeAway(), reloadFailed(), handshakes(), clocks(), certificate(),
	}
}

func groupDown() alert {
	return alert{
		name: "UmbraGroupDown", when: "all members of a group are out for a minute", lasts: "1m", severity: "critical",
		expr:    expr(`max by (job, instance, group) (%s) == 0`, metrics.GroupMemberUp),
		summary: `no member of outbound.{{ $labels.group }} works`,
		help:    "umbra select FILE GROUP has the reason for each member.",
		proof: proof{
			series: [][2]string{
				{expr(`%s{instance="a",group="exits",member="paris"}`, metrics.GroupMemberUp), "1x10 0x20"},
				{expr(`%s{instance="a",group="exits",member="oslo"}`, metrics.GroupMemberUp), "1x15 0x15"},
			},
			silent: "14m", fires: "20m", labels: `instance: a, group: exits`,
		},
	}
}

func storeAway() alert {
	return alert{
		name: "UmbraStoreAway", when: "the store of a policy does not answer for 5 minutes", lasts: "5m", severity: "warning",
		expr:    expr(`%s == 0`, metrics.StoreUp),
		summary: `the store of policy.{{ $labels.policy }} is away`,
		help:    "The policy goes on with what this node knows; other nodes of the fleet learn nothing of it meanwhile. The log has the error.",
		proof: proof{
			series: [][2]string{{expr(`%s{instance="a",policy="bans"}`, metrics.StoreUp), "1x5 0x3 1x5 0x20"}},
			silent: "9m", fires: "22m", labels: `instance: a, policy: bans`,
		},
	}
}

// reloadFailed also sees a series that begins with its first failure.
func reloadFailed() alert {
	refused := expr(`%s{result="refused"}`, metrics.Reloads)
	return alert{
		name: "UmbraReloadFailed", when: "a reload was refused in the last quarter of an hour", severity: "warning",
		expr:    fmt.Sprintf(`increase(%s[15m]) > 0 or (%[1]s > 0 unless %[1]s offset 15m)`, refused),
		summary: `a changed file was refused, and the old one is served`,
		help:    "umbra check FILE has the mistake and its place.",
		proof: proof{
			series: [][2]string{
				{expr(`%s{instance="a",result="refused"}`, metrics.Reloads), "0x30 1x40"},
				{expr(`%s{instance="b",result="refused"}`, metrics.Reloads), "0x80"},
			},
			silent: "25m", fires: "35m", labels: `instance: a, result: refused`,
		},
	}
}

func handshakes() alert {
	failing := func(over string) string {
		return expr(`sum by (job, instance, inbound) (rate(%s%s))`, metrics.HandshakeFailures, over)
	}
	return alert{
		name: "UmbraHandshakeFailures", when: "ten times as many handshakes fail as on the day before, and more than one in 5 seconds", lasts: "5m", severity: "warning",
		expr:    fmt.Sprintf(`%s > 10 * %s and %[1]s > 0.2`, failing("[10m]"), failing("[1d] offset 10m")),
		summary: `ten times as many handshakes as usual fail at inbound.{{ $labels.inbound }}`,
		help:    "Clients with an old password, or somebody who tries doors: the label reason tells which. policy.ban refuses the latter.",
		proof: proof{
			series: [][2]string{{expr(`%s{instance="a",inbound="ss",reason="auth"}`, metrics.HandshakeFailures), "0+1x600 600+60x60"}},
			silent: "590m", fires: "620m", labels: `instance: a, inbound: ss`,
		},
	}
}

func clocks() alert {
	by := `by (job, instance, cipher)`
	return alert{
		name: "UmbraClockOffset", when: fmt.Sprintf("one of ten peers has a clock that differs by more than %d seconds", metrics.ClockOff), lasts: "5m", severity: "warning",
		expr: expr(`1 - sum `+by+` (rate(%s_bucket{le=~"%d(\\.0)?"}[15m])) / sum `+by+` (rate(%[1]s_count[15m])) > 0.1`,
			metrics.ClockOffset, metrics.ClockOff),
		summary: fmt.Sprintf(`clocks differ by more than %d seconds, by cipher.{{ $labels.cipher }}`, metrics.ClockOff),
		help:    "The 2022 edition refuses connections above 30 seconds. If it is most peers, look after this machine's clock: chronyc tracking.",
		proof: proof{
			series: [][2]string{
				{expr(`%s_bucket{instance="a",cipher="house",le="%d"}`, metrics.ClockOffset, metrics.ClockOff), "0+10x60 600+4x60"},
				{expr(`%s_bucket{instance="a",cipher="house",le="+Inf"}`, metrics.ClockOffset), "0+10x60 600+10x60"},
				{expr(`%s_count{instance="a",cipher="house"}`, metrics.ClockOffset), "0+10x60 600+10x60"},
			},
			silent: "55m", fires: "80m", labels: `instance: a, cipher: house`,
		},
	}
}

func certificate() alert {
	return alert{
		name: "UmbraCertificateEnds", when: "a certificate ends in less than 14 days", severity: "warning",
		expr:    expr(`%s - time() < 14 * 86400`, metrics.CertificateNotAfter),
		summary: `the certificate of transport.{{ $labels.transport }} ends in {{ $value | humanizeDuration }}`,
		help:    "Renewed files are read by themselves.",
		proof: proof{
			series: [][2]string{{expr(`%s{instance="a",transport="web"}`, metrics.CertificateNotAfter), "1209900x1500"}}, // 14 days and 5 minutes after 0
			silent: "4m", fires: "6m", labels: `instance: a, transport: web`,
		},
	}
}

// alertFile returns contrib/prometheus/alerts.yml.
func alertFile() string {
	var b strings.Builder
	b.WriteString("# Alerts for Prometheus, made from core/metrics/gen. docs/metrics.md tells of each.\ngroups:\n  - name: umbra\n    rules:\n")
	for _, a := range alerts() {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n", a.name, quoted(a.expr))
		if a.lasts != "" {
			fmt.Fprintf(&b, "        for: %s\n", a.lasts)
		}
		fmt.Fprintf(&b, "        labels: { severity: %s }\n        annotations:\n          summary: %s\n          description: %s\n", a.severity, quoted(a.summary), quoted(a.help))
	}
	return b.String()
}

// quoted returns a text as YAML has it between single quotes, where nothing is escaped.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
