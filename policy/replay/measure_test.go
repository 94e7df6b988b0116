package replay

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestMeasure has a replay, and a store that is away for a while.
func TestMeasure(t *testing.T) {
	for name, hangs := range map[string]time.Duration{"fails": 0, "hangs": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				n := newNode(s)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go n.Run(ctx)
				want := func(what string, refused, up, lag float64) {
					t.Helper()
					coretest.TestMeasurer(t, n.Policy, func() {})
					want := map[string]float64{
						`umbra_policy_refusals_total{policy="fleet",reason="replay"}`: refused,
						`umbra_store_up{policy="fleet"}`:                              up,
						`umbra_store_lag_seconds{policy="fleet"}`:                     lag,
					}
					if got := coretest.Figures(n); !maps.Equal(got, want) {
						t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
					}
				}
				soon := time.Now().Add(time.Hour)
				_ = n.get(t, "one", soon)
				want("a request", 0, 1, 0)
				_ = n.get(t, "one", soon)
				want("a replay", 1, 1, 0)
				s.set(hangs, errors.New("connection refused"))
				_ = n.get(t, "two", soon)
				time.Sleep(30 * time.Second)
				_ = n.get(t, "three", soon)
				want("away", 1, 0, 30)
				s.set(0, nil)
				time.Sleep(10 * time.Second)
				want("back", 1, 1, 0)
			})
		})
	}
}
