package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// watchAfter is the time after which the client of a dial is watched: most dials end
// sooner, and cost no more than a timer.
const watchAfter = 200 * time.Millisecond

// watch is the watch over a client whose target is dialled. Nothing else reads the
// client meanwhile.
type watch struct {
	timer   *time.Timer
	running sync.WaitGroup
}

// dial reaches the target, for as long as the client is there.
func (s *stream) dial(ctx context.Context) (core.Stream, error) {
	var w watch
	w.begin(s)
	defer w.stop(s)
	return s.pipeline.cfg.Dialer.DialStream(ctx, s.request)
}

// begin starts the watch, which cuts s if its client goes.
func (w *watch) begin(s *stream) {
	if netio.TCP(s.request.Wire) == nil {
		return
	}
	end := netio.EndIsHalf
	if s.request.AwaitsReply && s.client == nil && len(s.request.Payload) == 0 {
		end = netio.EndIsGone
	}
	w.running.Add(1)
	w.timer = time.AfterFunc(watchAfter, func() {
		defer w.running.Done()
		if err := netio.WaitGone(s.request.Wire, end); err != nil {
			s.request.Flow.Cut(fmt.Errorf("%w before its target was reached: %w", core.ErrGone, err))
		}
	})
}

// stop ends the watch. The client may be read again when it returns.
func (w *watch) stop(s *stream) {
	if w.timer == nil || w.timer.Stop() {
		return
	}
	wire := s.request.Wire
	_ = wire.SetReadDeadline(time.Unix(1, 0)) // an error says that the client has gone
	w.running.Wait()
	_ = wire.SetReadDeadline(time.Time{})
}
