// Package gen makes what is written for people and for other programs about the metrics: the
// page of the documentation, the dashboard for Grafana and the alerts for Prometheus. All come
// from the list in core/metrics, so that no name of a metric is written twice. A test compares
// them with the files, and writes them with the flag -update-metrics.
package gen

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// Files returns the content of all files, by their paths from the root of the project.
func Files() map[string][]byte {
	return map[string][]byte{
		"docs/metrics.md":               []byte(page()),
		"contrib/grafana/umbra.json":    dashboard(),
		"contrib/prometheus/alerts.yml": []byte(alertFile()),
	}
}

// expr returns an expression of PromQL. A metric among args is written by its name.
func expr(format string, args ...any) string {
	for i, a := range args {
		if m, ok := a.(*core.Metric); ok {
			args[i] = m.Name
		}
	}
	return fmt.Sprintf(format, args...)
}
