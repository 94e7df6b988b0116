package pipeline

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// lookUp serves a client that wants no stream but an answer about its target.
func (s *stream) lookUp(ctx context.Context, l core.PendingLookup) {
	var answer core.Answer
	s.dialling = true
	err := panics.Call(func() (err error) {
		var w watch
		w.begin(s)
		defer w.stop(s)
		answer, err = core.Find(ctx, s.pipeline.cfg.Dialer, s.request)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			err = core.NoAnswer(err, s.pipeline.cfg.DialTimeout)
		}
		s.fail(err)
		return
	}
	s.dialling, s.reached = false, time.Now()
	panicked := panics.Call(func() error {
		l.Answer(answer)
		return nil
	})
	s.leave(core.Closed, panicked)
	if panicked != nil {
		panic(panicked) // the inbound closes the connection
	}
}
