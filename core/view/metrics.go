package view

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// metrics returns the handler of the metrics, in the text format of Prometheus or
// OpenMetrics.
func (s *Server) metrics() http.HandlerFunc {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{s})
	h := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4,
	})
	return h.ServeHTTP
}

// collector reads the figures of the process at each scrape.
type collector struct{ *Server }

// Describe implements prometheus.Collector: figures of third parties are not known before.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	var users []core.Figure // of metrics by user
	yield := func(f core.Figure) {
		if f.Metric == nil {
			return
		}
		if err := check(f); err != nil {
			out <- prometheus.NewInvalidMetric(prometheus.NewDesc(f.Metric.Name, f.Metric.Help, f.Metric.Labels, nil), err)
			return
		}
		if slices.Contains(f.Metric.Labels, "user") {
			users = append(users, f)
			return
		}
		out <- metricOf(f)
	}
	c.source.Figures(yield)
	c.Measure(yield)
	if !c.options.Users {
		return
	}
	shown, more := mostUsed(users, c.options.MaxUsers)
	for _, f := range shown {
		out <- metricOf(f)
	}
	out <- metricOf(core.Figure{Metric: metrics.SeriesNotShown, Value: float64(more)})
}

// mostUsed returns the figures of the users that moved the most bytes, and how many more
// users there are.
func mostUsed(all []core.Figure, most int) (shown []core.Figure, more int) {
	moved := map[string]float64{}
	for _, f := range all {
		n := 0.0
		if f.Metric == metrics.UserBytes {
			n = f.Value
		}
		moved[userOf(f)] += n
	}
	if len(moved) <= most {
		return all, 0
	}
	names := make([]string, 0, len(moved))
	for name := range moved {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(moved[b], moved[a]), cmp.Compare(a, b)) })
	for _, name := range names[most:] {
		delete(moved, name)
	}
	for _, f := range all {
		if _, ok := moved[userOf(f)]; ok {
			shown = append(shown, f)
		}
	}
	return shown, len(names) - most
}

// userOf returns the user of a figure.
func userOf(f core.Figure) string { return f.Labels[slices.Index(f.Metric.Labels, "user")] }

// check returns what is wrong with a figure, such as one of a third party with a label too
// few.
func check(f core.Figure) error {
	switch {
	case len(f.Labels) != len(f.Metric.Labels):
		return fmt.Errorf("%s: %d labels, want %d", f.Metric.Name, len(f.Labels), len(f.Metric.Labels))
	case len(f.Counts.AtMost) != len(f.Counts.Bounds):
		return fmt.Errorf("%s: %d counts for %d bounds", f.Metric.Name, len(f.Counts.AtMost), len(f.Counts.Bounds))
	}
	return nil
}

// metricOf returns a figure as the library has it. One that is wrong becomes an error of the
// scrape.
func metricOf(f core.Figure) prometheus.Metric {
	desc := prometheus.NewDesc(f.Metric.Name, f.Metric.Help, f.Metric.Labels, nil)
	var m prometheus.Metric
	var err error
	switch f.Metric.Kind {
	case core.Histogram:
		buckets := make(map[float64]uint64, len(f.Counts.Bounds))
		for i, bound := range f.Counts.Bounds {
			buckets[bound] = f.Counts.AtMost[i]
		}
		m, err = prometheus.NewConstHistogram(desc, f.Counts.Count, f.Counts.Sum, buckets, f.Labels...)
	case core.Counter:
		m, err = prometheus.NewConstMetric(desc, prometheus.CounterValue, f.Value, f.Labels...)
	default:
		m, err = prometheus.NewConstMetric(desc, prometheus.GaugeValue, f.Value, f.Labels...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
