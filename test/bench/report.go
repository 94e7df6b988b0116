//go:build linux

package main

import (
	"fmt"
	"io"
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

// figure is a row: its goal is a bound on the ratio to the peer.
type figure struct {
	name string
	more bool    // whether more is better
	goal float64 // 0 for none
}

func figures() []figure {
	return []figure{
		{down1, true, 0}, {up1, true, 0}, {down8, true, 0}, {up8, true, 0},
		{downCost, false, 0.7}, {upCost, false, 0.7},
		{connRate, true, 0.7}, {connCost, false, 0},
		{idleLocal, false, 1}, {idleServer, false, 1},
		{startTime, false, 0}, {startMemory, false, 0},
	}
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

func (r *results) median(chain, figure string) float64 {
	s := slices.Sorted(slices.Values(r.samples[[2]string{chain, figure}]))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// print writes the table: the medians of both chains, their ratio, and what the
// ratio should be.
func (r *results) print(w io.Writer, o options) {
	fmt.Fprintf(w, "%s, medians of %d rounds\n\n", o.method, o.rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tumbra\tlibev\tratio\tgoal\t")
	for _, f := range figures() {
		ours, theirs := r.median("umbra", f.name), r.median("libev", f.name)
		ratio := ours / theirs
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%.2f\t%s\t\n", f.name, ours, theirs, ratio, verdict(f, ratio))
	}
	t.Flush()
}

func verdict(f figure, ratio float64) string {
	switch {
	case f.goal == 0:
		return ""
	case f.more && ratio >= f.goal:
		return fmt.Sprintf("≥ %.1f met", f.goal)
	case f.more:
		return fmt.Sprintf("≥ %.1f MISSED", f.goal)
	case ratio <= f.goal:
		return fmt.Sprintf("≤ %.1f met", f.goal)
	}
	return fmt.Sprintf("≤ %.1f MISSED", f.goal)
}
