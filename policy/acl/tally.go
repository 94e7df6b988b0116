package acl

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// tellEvery is how often it is told how many were denied.
const tellEvery = 10 * time.Second

// tally counts what was denied since that was told last.
type tally struct{ requests, datagrams atomic.Int64 }

// run tells, if there was anything, until ctx ends, and then once more.
func (t *tally) run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			t.tell(log)
			return
		case <-ticker.C:
			t.tell(log)
		}
	}
}

func (t *tally) tell(log *slog.Logger) {
	if requests, datagrams := t.requests.Swap(0), t.datagrams.Swap(0); requests+datagrams > 0 {
		log.Info("denied", slog.Int64("requests", requests), slog.Int64("datagrams", datagrams))
	}
}
