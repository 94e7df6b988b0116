package sip003

import (
	"os/exec"
	"syscall"
)

// prepare gives a plugin a process group of its own: a signal of the terminal ends umbra,
// which serves out what is open through the plugin, and then the plugin. If umbra is killed,
// the kernel ends the plugin.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = patience // for output that what it has started holds open
}
