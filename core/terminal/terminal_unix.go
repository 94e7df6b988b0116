//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// openKeys opens the terminal of the process anew: a wait for a key of it can be ended, which
// the standard input's can't.
func openKeys() (f *os.File, owned bool, err error) {
	f, err = os.OpenFile("/dev/tty", os.O_RDWR, 0)
	return f, true, err
}

func makeRaw(in, _ *os.File) (*term.State, error) { return term.MakeRaw(fd(in)) }

func restore(in *os.File, before *term.State) error { return term.Restore(fd(in), before) }

// fd returns a descriptor without making the file block, as Fd does.
func fd(f *os.File) (n int) {
	n = -1
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// Resized returns a channel that has a value when the size has changed, until stop.
func Resized() (changed <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1) // more of them say nothing new
	signal.Notify(c, syscall.SIGWINCH)
	return c, func() { signal.Stop(c) }
}

// stopTime is how long a stop may take to have an effect. It has none where no shell waits for
// the process.
const stopTime = 300 * time.Millisecond

// suspend stops the process group and returns when it goes on.
func suspend() {
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	defer signal.Stop(goOn)
	if syscall.Kill(0, syscall.SIGTSTP) != nil {
		return
	}
	select {
	case <-goOn:
	case <-time.After(stopTime):
	}
}
