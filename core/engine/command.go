package engine

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// Command passes words on to a component of the running file, of any section. A panic
// of the component is an error.
func (e *Engine) Command(ctx context.Context, id config.ID, words []string) (answer any, err error) {
	e.mu.Lock()
	g := e.current
	e.mu.Unlock()
	if g == nil {
		return nil, core.ErrShutdown
	}
	built, ok := g.built[id]
	if !ok {
		return nil, fmt.Errorf("the running file has no %s", id)
	}
	c, ok := built.(core.Commander)
	if !ok {
		return nil, fmt.Errorf("%s takes no commands", id)
	}
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("command panicked", slog.Any("component", id), slog.Any("err", v), slog.String("stack", string(debug.Stack())))
			answer, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return c.Command(ctx, words)
}
