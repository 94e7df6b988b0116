package plugins_test

import (
	"errors"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// running are the figures of all that an engine runs.
type running struct{ *engine.Engine }

func (r running) Measure(yield func(core.Figure)) { r.Figures(yield) }

// TestFigures asks a running file with each kind for its figures, while the file is loaded
// again and clients come: they are valid, no counter falls, and all are in the list.
func TestFigures(t *testing.T) {
	listed := metrics.All()
	seen := map[string]bool{}
	reg := standard()
	for _, s := range core.Sections() {
		for _, kind := range reg.Section(s).Names() {
			t.Run(string(s)+"."+kind, func(t *testing.T) {
				info, _ := reg.Section(s).Describe(kind)
				o, ok := optionsOf(s, info)
				if !ok {
					t.Fatal("no tables in keptCases")
				}
				at := coretest.FreeAddr(t).String()
				text := keptFile(s, kind, o.after, at)
				w := startKept(t, text, filepath.ToSlash(t.TempDir()))
				defer w.shutdown()
				coretest.TestMeasurer(t, running{w.engine}, func() {
					for range 2 {
						visit(t, at)
						if err := w.engine.Reload(t.Context(), w.parse(text)); err != nil {
							t.Error(err)
						}
						visit(t, at)
					}
				})
				w.engine.Figures(func(f core.Figure) {
					seen[f.Metric.Name] = true
					if !slices.Contains(listed, f.Metric) {
						t.Errorf("%s is not in the list of metrics", f.Metric.Name)
					}
				})
			})
		}
	}
	// Those of a component come from a file that has it, even if nothing has happened yet.
	for _, m := range []*core.Metric{
		metrics.RouteDecisions, metrics.GroupMemberUp, metrics.GroupMemberSelected, metrics.GroupSwitches,
		metrics.PolicyRefusals, metrics.Bans, metrics.BansTotal, metrics.StoreUp, metrics.StoreLag,
		metrics.ResolverQueries, metrics.ResolverCacheHits, metrics.ResolverSeconds, metrics.ClockOffset, metrics.CipherTrials,
	} {
		if !seen[m.Name] {
			t.Errorf("%s: no kind has it", m.Name)
		}
	}
}

// visit makes a request of SOCKS5 to the inbound at an address, whatever that takes it for.
func visit(t *testing.T, at string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", at, 10*time.Second)
	if errors.Is(err, syscall.ECONNRESET) { // by an inbound that reads no request, and whose target is refused
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Write([]byte("\x05\x01\x00\x05\x01\x00\x03\x0bnone.invalid\x00\x50"))
}
