package dropin

import (
	"errors"
	"fmt"
	"time"
)

// startup is how long the process that starts a daemon waits for it to serve.
const startup = 5 * time.Second

// stopping is how long stopping a daemon may take.
const stopping = 10 * time.Second

// Daemon is a process in the background.
type Daemon struct {
	PidFile string // is locked by the daemon while it runs, and has its pid
	LogFile string // its standard output and error streams are appended to it; "" for none
}

// ErrNotRunning is returned by Stop if there is no daemon.
var ErrNotRunning = errors.New("not running")

// AlreadyStarted is the error of a daemon whose pid file another process has locked.
type AlreadyStarted struct{ PID int }

func (e AlreadyStarted) Error() string { return fmt.Sprintf("already started at pid %d", e.PID) }
