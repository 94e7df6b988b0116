//go:build unix

package dropin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// readyFD names the environment variable with the descriptor by which a daemon tells the
// process that started it how it went.
const readyFD = "UMBRA_DAEMON_READY"

// IsDaemon reports whether this process was started by Start and has not called Attach.
func IsDaemon() bool { return os.Getenv(readyFD) != "" }

// Start starts this program once more, with the same arguments, in a session of its own, and
// waits until it says by Child.Ready that it serves. It returns the error of Child.Fail, such
// as AlreadyStarted, and a time-out as nil: the log file tells more.
func (d Daemon) Start() error {
	if pid, err := d.holder(); err != nil || pid != 0 {
		return errors.Join(err, already(pid))
	}
	log, err := d.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	self, err := os.Executable()
	if err != nil {
		write.Close()
		return err
	}
	cmd := &exec.Cmd{
		Path: self, Args: os.Args, Stdout: log, Stderr: log, ExtraFiles: []*os.File{write},
		Env: append(os.Environ(), readyFD+"=3"), SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	_ = read.SetReadDeadline(time.Now().Add(startup))
	told, err := io.ReadAll(io.LimitReader(read, 64<<10))
	switch text := string(told); {
	case text == "ok\n", errors.Is(err, os.ErrDeadlineExceeded):
		return cmd.Process.Release()
	case text != "":
		_ = cmd.Wait()
		if pid, found := strings.CutPrefix(text, "pid "); found {
			n, _ := strconv.Atoi(pid)
			return AlreadyStarted{n}
		}
		return errors.New(text)
	}
	_ = cmd.Wait()
	return fmt.Errorf("not started, see %s", log.Name())
}

// already returns AlreadyStarted, or nil for 0.
func already(pid int) error {
	if pid == 0 {
		return nil
	}
	return AlreadyStarted{pid}
}

func (d Daemon) openLog() (*os.File, error) {
	if d.LogFile == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	return os.OpenFile(d.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// Child is a daemon's own side.
type Child struct {
	ready *os.File // nil once it was used, and for a process in the foreground
	pid   *os.File // nil for none
}

// Attach locks the pid file and writes the pid of this process into it. In a process that was
// not started by Start, no one hears of Ready and Fail. An empty pid file is none.
func (d Daemon) Attach() (*Child, error) {
	c := &Child{}
	if fd, err := strconv.Atoi(os.Getenv(readyFD)); err == nil {
		syscall.CloseOnExec(fd)
		c.ready = os.NewFile(uintptr(fd), "ready")
	}
	_ = os.Unsetenv(readyFD) // plugins are children too
	if d.PidFile == "" {
		return c, nil
	}
	f, err := os.OpenFile(d.PidFile, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return c, err
	}
	if err := lock(f); err != nil {
		pid, _ := holderOf(f)
		f.Close()
		return c, AlreadyStarted{pid}
	}
	c.pid = f
	if err := f.Truncate(0); err != nil {
		return c, err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return c, err
}

// Ready tells the process that started this one that all is well.
func (c *Child) Ready() { c.tell("ok\n") }

// Fail tells it what went wrong, and reports whether there was someone to tell.
func (c *Child) Fail(err error) bool {
	if a, isAlready := errors.AsType[AlreadyStarted](err); isAlready {
		return c.tell("pid " + strconv.Itoa(a.PID))
	}
	return c.tell(err.Error())
}

func (c *Child) tell(text string) bool {
	if c.ready == nil {
		return false
	}
	_, err := io.WriteString(c.ready, text)
	c.ready.Close()
	c.ready = nil
	return err == nil
}

// Release unlocks the pid file, so that a successor can have it.
func (c *Child) Release() {
	if c.pid != nil {
		c.pid.Close()
		c.pid = nil
	}
}

// Stop ends the daemon with SIGTERM, waits until it has ended, and removes its pid file. It
// returns ErrNotRunning if no process has the pid file locked, whatever the file says: its pid
// may be that of another program by now.
func (d Daemon) Stop() error {
	pid, err := d.holder()
	if err != nil {
		return err
	}
	if pid == 0 {
		return ErrNotRunning
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop pid %d: %w", pid, err)
	}
	for end := time.Now().Add(stopping); time.Now().Before(end); time.Sleep(stopping / 500) {
		// The lock ends with the process; its pid stays until its parent has noticed.
		switch now, err := d.holder(); {
		case err != nil:
			return err
		case now == 0:
			_ = os.Remove(d.PidFile)
			return nil
		case now != pid: // a successor
			return nil
		}
	}
	return fmt.Errorf("timed out when stopping pid %d", pid)
}

// holder returns the pid of the process that has the pid file locked, or 0 for none.
func (d Daemon) holder() (int, error) {
	f, err := os.OpenFile(d.PidFile, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return holderOf(f)
}

// holderOf returns the pid of the process that has a file locked, or 0 for none.
func holderOf(f *os.File) (int, error) {
	l := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &l); err != nil {
		return 0, err
	}
	if l.Type == syscall.F_UNLCK {
		return 0, nil
	}
	return int(l.Pid), nil
}

// lock locks a file as lockf does, or fails at once.
func lock(f *os.File) error {
	l := syscall.Flock_t{Type: syscall.F_WRLCK}
	return syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &l)
}
