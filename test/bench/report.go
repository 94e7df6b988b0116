//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// The figures, in the order of the table.
const (
	down1       = "download, 1 stream, MB/s"
	up1         = "upload, 1 stream, MB/s"
	down8       = "download, 8 streams, MB/s"
	up8         = "upload, 8 streams, MB/s"
	downCost    = "download, 8 streams, CPU-s/GB"
	upCost      = "upload, 8 streams, CPU-s/GB"
	connRate    = "connections/s, 64 workers"
	connCost    = "CPU per connection, µs"
	idleLocal   = "idle connection, local, KiB"
	idleServer  = "idle connection, server, KiB"
	startTime   = "start to first accept, ms"
	startMemory = "memory after start, MiB"
)

// figure is a row of the table.
type figure struct {
	name string
	of   func(samples []float64) float64 // combines the values of all rounds
	goal goal
}

func figures() []figure {
	rows := []figure{
		{down1, median, none}, {up1, median, none}, {down8, median, none}, {up8, median, none},
		{downCost, median, atMost(0.7)}, {upCost, median, atMost(0.7)},
		{connRate, median, atLeast(0.7)}, {connCost, median, none},
		{idleLocal, median, atMost(1)}, {idleServer, median, atMost(1)},
		{startTime, median, none}, {startMemory, median, none},
	}
	for _, t := range packetTests() {
		rows = append(rows, figure{t.rateName(), median, t.rate}, figure{t.costName(), median, none},
			figure{t.lossName(), slices.Max[[]float64], zero})
	}
	return rows
}

// results are all samples, by chain and figure.
type results struct{ samples map[[2]string][]float64 }

func (r *results) add(chain, figure string, value float64) {
	if r.samples == nil {
		r.samples = map[[2]string][]float64{}
	}
	key := [2]string{chain, figure}
	r.samples[key] = append(r.samples[key], value)
}

// value returns a figure of a chain, NaN if it was not measured.
func (r *results) value(chain string, f figure) float64 {
	samples := r.samples[[2]string{chain, f.name}]
	if len(samples) == 0 {
		return math.NaN()
	}
	return f.of(samples)
}

// median returns the median of samples, of which there is at least one.
func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// print writes the table: the figures of the chains, those of umbra watched as a ratio to
// umbra, the ratio of umbra to the peer, and the goal. It omits figures that were not
// measured.
func (r *results) print(w io.Writer, o options) {
	fmt.Fprintf(w, "%s, medians of %d rounds\n\n", o.method, o.rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tumbra\twatched\tof umbra\tlibev\tratio\tgoal\t")
	for _, f := range figures() {
		ours, watched, theirs := r.value("umbra", f), r.value("watched", f), r.value("libev", f)
		if math.IsNaN(ours) && math.IsNaN(watched) && math.IsNaN(theirs) {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", f.name,
			cell("%.4g", ours), cell("%.4g", watched), cell("%.2f", ratio(watched, ours)), cell("%.4g", theirs), cell("%.2f", ratio(ours, theirs)), f.goal(ours, ratio(ours, theirs)))
	}
	t.Flush()
}

// ratio returns a / b, NaN if there is none.
func ratio(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

// cell formats a value; NaN is empty.
func cell(format string, value float64) string {
	if math.IsNaN(value) {
		return ""
	}
	return fmt.Sprintf(format, value)
}
