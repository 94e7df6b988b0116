package engine

import "github.com/umbra-proxy/umbra/core/budget"

// Bound sets the limits of the process, which all connections share. It is called before
// Start, and again when a limit changes.
func (e *Engine) Bound(l budget.Limits) { budget.Of(e.process).Set(l, e.failures.Short) }
