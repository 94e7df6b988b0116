package core

// Measurer is a component that counts what it does. It is asked when somebody wants the
// figures, such as for a scrape, so what it counts costs no more than its own counters.
type Measurer interface {
	// Measure passes on each figure. It is called from any goroutine, also while the
	// component serves out its connections. It must not block.
	Measure(yield func(Figure))
}

// Metric is what a figure is a figure of, in the terms of the Prometheus data model. Those
// of this project are listed in core/metrics.
type Metric struct {
	Name   string     // such as "umbra_bans"; a counter ends in "_total"
	Kind   MetricKind // what its values mean
	Help   string     // one line
	Labels []string   // names of its labels; no label has what a client chose
}

// MetricKind is the type of a metric.
type MetricKind string

// The kinds of metrics.
const (
	Counter   MetricKind = "counter"   // only rises
	Gauge     MetricKind = "gauge"     // the value of now
	Histogram MetricKind = "histogram" // counts of values by their size
)

// Figure is one value of a metric.
type Figure struct {
	Metric *Metric
	Labels []string // a value for each label of the metric
	Value  float64  // of a counter or a gauge
	Counts Counts   // of a histogram
}

// Counts are those of a histogram.
type Counts struct {
	Count  uint64 // of all values
	Sum    float64
	Bounds []float64 // upper bounds, in ascending order; must not be changed
	AtMost []uint64  // for each bound, how many values are not above it
}
