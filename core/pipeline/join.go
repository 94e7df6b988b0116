package pipeline

import (
	"github.com/umbra-proxy/umbra/core"
	"time"
)

// Join relays between two streams that are no request's until both directions have
// ended, or until they have moved nothing for as long as idle says, and closes
// both. Cutting f ends it too. It returns the first failure, or nil.
func Join(f *core.Flow, client, upstream core.Stream, idle time.Duration) error {
	ended := make(chan error, 1)
	relay(f, client, upstream, func(err error) {
		client.Close()
		upstream.Close()
		ended <- err
	})
	ticker := time.NewTicker(idle)
	defer ticker.Stop()
	for moved := int64(0); ; {
		select {
		case err := <-ended:
			return err
		case <-ticker.C:
			now := f.Up.Load() + f.Down.Load()
			if now == moved {
				f.Cut(core.ErrIdle)
			}
			moved = now
		}
	}
}
