package acl

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// logEvery is the interval between log records with the number of denials.
const logEvery = 10 * time.Second

// tally counts the denials since the last log record.
type tally struct{ requests, datagrams atomic.Int64 }

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
