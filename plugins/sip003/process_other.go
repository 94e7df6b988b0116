//go:build !unix

package sip003

import "os/exec"

// prepare does nothing but bound the wait for output that what a plugin has started holds
// open.
func prepare(cmd *exec.Cmd) { cmd.WaitDelay = patience }

// end kills a plugin. done is closed when it has ended.
func end(cmd *exec.Cmd, done <-chan struct{}) {
	_ = cmd.Process.Kill() // an error means that it has ended
	<-done
}
