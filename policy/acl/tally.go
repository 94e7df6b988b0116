package acl

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// logEvery is the interval between log records with the number of denials.
const logEvery = 10 * time.Second

// tally counts the denials since the last log record.
type tally struct{ requests, datagrams atomic.Int64 }

// denials counts denied requests by the check that they did not pass. It is kept over a reload.
type denials [len(checks)]atomic.Uint64

var _ core.Measurer = (*Policy)(nil)

// Measure implements core.Measurer. Datagrams are counted where they are dropped, by the
// pipeline.
func (p *Policy) Measure(yield func(core.Figure)) {
	for check, name := range checks {
		yield(metrics.Value(metrics.PolicyRefusals, float64(p.denials[check].Load()), p.env.Name, name))
	}
}

// run logs the counts every logEvery, unless they are 0, and once more when ctx ends.
func (t *tally) run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(logEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			t.log(log)
			return
		case <-ticker.C:
			t.log(log)
		}
	}
}

func (t *tally) log(log *slog.Logger) {
	if requests, datagrams := t.requests.Swap(0), t.datagrams.Swap(0); requests+datagrams > 0 {
		log.Info("denied", slog.Int64("requests", requests), slog.Int64("datagrams", datagrams))
	}
}
