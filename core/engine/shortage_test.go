package engine

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestShortage logs the first refusal at once, and the rest once a minute.
func TestShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := new(coretest.Lines)
		e := New(new(core.Registry), slog.New(slog.NewTextHandler(lines, nil)))
		e.Bound(budget.Limits{Descriptors: 16 + 2, Memory: 64 << 20})
		b := budget.Of(e.process)
		refuse := func(n int) {
			for range n {
				if b.Serve(core.UDP) {
					t.Fatal("an association was served, want none")
				}
			}
		}
		check := func(want int, parts ...string) {
			t.Helper()
			synctest.Wait()
			if got := lines.With(parts...); len(got) != want {
				t.Errorf("lines with %q: got %q, want %d", parts, lines.With(""), want)
			}
		}
		refuse(1000)
		check(1, "out of descriptors", "limit=18", "LimitNOFILE")
		check(1, "")
		time.Sleep(time.Minute + time.Second)
		check(1, "again", "connections=999")
		refuse(1)
		time.Sleep(time.Minute)
		check(2, "again")
		time.Sleep(10 * time.Minute)
		check(3, "")
		refuse(1)
		check(4, "")
		time.Sleep(2 * time.Minute)
	})
}
