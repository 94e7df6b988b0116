//go:build unix

package dropin

import (
	"os"
	"os/signal"
	"syscall"
)

// Drains returns a channel of the signal that makes a program stop accepting, serve out what
// is open, and end; until stop.
func Drains() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGQUIT)
	return c, func() { signal.Stop(c) }
}
