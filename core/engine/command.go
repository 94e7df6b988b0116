package engine

import (
	"context"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// Command passes words on to a component of the running file.
func (e *Engine) Command(ctx context.Context, id config.ID, words []string) (any, error) {
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
	return c.Command(ctx, words)
}
