package gen

import (
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core/metrics"
)

// intro is the beginning of the page.
const intro = `# Metrics

Umbra has its figures in the form of Prometheus at ` + "`/metrics`" + ` of the address ` + "`web`" + ` in ` + "`[admin]`" + `. They are read from
counters that exist anyway when somebody asks, so nothing is computed while nobody does.

Labels have names of the file, constant words, and names of users where ` + "`users = true`" + ` asks for them; never a client's address or a target. A
name that a reload removes takes its series along; all other counters go on over a reload. Beside these there are ` + "`go_*`" + ` and
` + "`process_*`" + `, which every program in Go has. A kind of a third party may have [metrics of its own](plugins.md).

[contrib/prometheus/alerts.yml](../contrib/prometheus/alerts.yml) has alerts, and [contrib/grafana/umbra.json](../contrib/grafana/umbra.json) a
dashboard for Grafana 10 or newer: *Dashboards, New, Import*. A scrape is

` + "```yaml" + `
scrape_configs:
  - job_name: umbra
    static_configs: [{ targets: ["127.0.0.1:9090"] }]
    # authorization: { credentials_file: /etc/prometheus/umbra.token } # with a token_file in [admin]
` + "```" + `

| name | type | labels | meaning |
|---|---|---|---|
`

// page returns docs/metrics.md.
func page() string {
	var b strings.Builder
	b.WriteString(intro)
	for _, m := range metrics.All() {
		labels := "none"
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	b.WriteString("\nThe values of labels such as `reason` are in the READMEs of the kinds.\n\n## Alerts\n\n| alert | when |\n|---|---|\n")
	for _, a := range alerts() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", a.name, a.when)
	}
	b.WriteString("\nThis page is made from `core/metrics` by `go test ./core/metrics/gen -update-metrics`.\n")
	return b.String()
}
