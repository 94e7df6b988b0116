//go:build !unix

package dropin

import (
	"errors"
	"runtime"
)

// IsDaemon reports whether this process was started by Start: never, on this system.
func IsDaemon() bool { return false }

// errDaemon is the error of whatever takes a daemon.
var errDaemon = errors.New("daemon mode is not supported on " + runtime.GOOS + ": run it as a service")

// Start returns an error.
func (Daemon) Start() error { return errDaemon }

// Stop returns an error.
func (Daemon) Stop() error { return errDaemon }

// Child is a daemon's own side.
type Child struct{}

// Attach does nothing without a pid file, and returns an error with one.
func (d Daemon) Attach() (*Child, error) {
	if d.PidFile == "" {
		return &Child{}, nil
	}
	return &Child{}, errDaemon
}

// Ready does nothing.
func (*Child) Ready() {}

// Fail does nothing.
func (*Child) Fail(error) bool { return false }

// Release does nothing.
func (*Child) Release() {}
