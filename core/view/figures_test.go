package view

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// Figures of a third party that are wrong cost themselves alone: not those that follow.
func TestWrongFigures(t *testing.T) {
	byUser := &core.Metric{Name: "x_user_total", Kind: core.Counter, Help: "h", Labels: []string{"policy", "user"}}
	sizes := &core.Metric{Name: "x_sizes", Kind: core.Histogram, Help: "h", Labels: []string{"a"}}
	f := &fake{figures: []core.Figure{
		{},
		{Metric: byUser, Labels: []string{"p"}},
		{Metric: byUser},
		{Metric: sizes, Labels: []string{"a"}, Counts: core.Counts{Count: 1, Bounds: []float64{1, 2}, AtMost: []uint64{1}}},
		{Metric: byUser, Labels: []string{"p", "alice"}, Value: 7},
	}}
	at := start(t, f, Options{Users: true})
	status, body := call(t, at, "GET", "/metrics", "")
	if status != 200 || !strings.Contains(body, `x_user_total{policy="p",user="alice"} 7`) {
		t.Errorf("got %d\n%s", status, body)
	}
}
