package engine_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// measured is a policy that has a figure and then panics.
type measured struct{ watching }

func (measured) Measure(yield func(core.Figure)) {
	yield(core.Figure{Metric: metrics.Bans, Labels: []string{"watch"}, Value: 7})
	panic("no more")
}

// The bytes of a pipeline go on over a reload and after the end of its older generation,
// and a component whose figures panic hides no others.
func TestFigures(t *testing.T) {
	w, at, seen := newWorld(), coretest.FreeAddr(t), new(coretest.Observer)
	core.Add(&w.reg.Policy, "watch", func(core.Env, struct{}) (core.Policy, error) { return measured{watching{seen}}, nil })
	text := strings.Replace(one, oneChain(t), `["policy.watch", "inbound.in", "outbound.out"]`, 1) + "\n[policy.watch]\n"
	e := w.start(t, text, at)
	figures := func() map[string]float64 {
		all := map[string]float64{}
		e.Figures(func(f core.Figure) { all[f.Metric.Name+" "+strings.Join(f.Labels, " ")] = f.Value })
		return all
	}
	c := connect(t, at)
	if _, err := request(c); err != nil {
		t.Fatal(err)
	}
	echo(t, c)
	before := figures()
	pipeline := ""
	for name := range e.Totals(true) {
		pipeline = name
	}
	down := "umbra_bytes_total " + pipeline + " tcp down"
	if before["umbra_connections "+pipeline+" tcp"] != 1 || before[down] == 0 || before["umbra_bans watch"] != 7 || before["umbra_dials_total out ok"] != 1 {
		t.Fatalf("got %v, want one connection with its bytes and dial, and the figure of the policy", before)
	}
	w.reload(t, e, strings.Replace(text, "[policy.watch]", "[policy.watch]\n# another file", 1), at)
	if now := figures(); now[down] != before[down] {
		t.Errorf("after a reload: got %v bytes, want %v", now[down], before[down])
	}
	c.Close()
	coretest.Eventually(t, "the end of the old generation", func() bool { return len(e.Generations()) == 1 })
	now := figures()
	if now["umbra_connections "+pipeline+" tcp"] != 0 || now[down] != before[down] || now["umbra_connections_total "+pipeline+" tcp ok"] != 1 {
		t.Errorf("after the end: got %v", now)
	}
	if all := e.Totals(true)[pipeline]; all.Users != nil {
		t.Errorf("users without CountUsers: got %v", all.Users)
	}
	e.CountUsers(true)
	if all := e.Totals(true)[pipeline]; all.Users == nil {
		t.Error("users with CountUsers: got none")
	}
}
