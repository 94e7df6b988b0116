package app

import (
	"context"
	"syscall"
)

// untilSignal returns a context that ends with the first signal that ends a
// program. stop is called when the context is no longer needed.
func (a *app) untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals, give := a.Signals()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-watched
		give()
	}
}
