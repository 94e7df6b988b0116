//go:build unix

package sip003

import (
	"os/exec"
	"syscall"
	"time"
)

// end asks a plugin to end, and kills it and what it has started if it does not in time.
// done is closed when it has ended.
func end(cmd *exec.Cmd, done <-chan struct{}) {
	group := -cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // an error means that it has ended
	select {
	case <-done:
	case <-time.After(patience):
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-done
	}
}
