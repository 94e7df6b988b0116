//go:build unix

package dropin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// asProgram makes the test binary a program that has a daemon; its value is what to do.
const asProgram = "UMBRA_TEST_DROPIN"

func TestMain(m *testing.M) {
	if do := os.Getenv(asProgram); do != "" {
		os.Exit(program(do, Daemon{PidFile: os.Getenv("PID_FILE"), LogFile: os.Getenv("LOG_FILE")}))
	}
	os.Exit(m.Run())
}

// program is a small daemon.
func program(do string, d Daemon) int {
	if do == "stop" {
		if err := d.Stop(); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
	if !IsDaemon() {
		if err := d.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("started")
		return 0
	}
	c, err := d.Attach()
	if err == nil && do == "fail" {
		err = errors.New("no port")
	}
	if err != nil {
		c.Fail(err)
		return 1
	}
	if do == "die" {
		return 1
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	fmt.Println("in the log", IsDaemon())
	c.Ready()
	<-end
	return 0
}

// A daemon starts once, has its pid in its file, writes into its log, and ends.
func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	pidFile, logFile := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	call := func(do string) (string, int) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asProgram+"="+do, "PID_FILE="+pidFile, "LOG_FILE="+logFile)
		out, err := cmd.CombinedOutput()
		if exit, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
			t.Fatal(exit, err)
		}
		return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
	}
	expect := func(do, text string, status int) {
		t.Helper()
		if got, code := call(do); got != text || code != status {
			t.Errorf("%s: got %q and %d, want %q and %d", do, got, code, text, status)
		}
	}
	expect("stop", "not running", 1)
	expect("fail", "no port", 1)
	expect("die", "not started, see "+logFile, 1)
	if err := os.WriteFile(pidFile, []byte("1"), 0o600); err != nil { // left behind: nobody is killed for it
		t.Fatal(err)
	}
	expect("stop", "not running", 1)
	expect("start", "started", 0)
	defer call("stop")
	text, err := os.ReadFile(pidFile)
	pid, _ := strconv.Atoi(string(text))
	if err != nil || pid <= 1 || syscall.Kill(pid, 0) != nil {
		t.Fatalf("got pid file %q, %v", text, err)
	}
	sid, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
	if errno != 0 || int(sid) != pid {
		t.Errorf("got session %d of pid %d, %v", sid, pid, errno)
	}
	expect("start", fmt.Sprintf("already started at pid %d", pid), 1)
	if log, err := os.ReadFile(logFile); string(log) != "in the log false\n" {
		t.Errorf("got log %q, %v", log, err)
	}
	expect("stop", "", 0)
	if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: got %v", err)
	}
	expect("stop", "not running", 1)
}

func TestFindUser(t *testing.T) {
	for name, ok := range map[string]bool{"root": true, "0": true, "4000000": true, "no-such-user": false, "-1": false, "": false} {
		if u, err := FindUser(name); (err == nil) != ok || ok && (u == nil || len(u.groups) == 0) {
			t.Errorf("%q: got %v, %v", name, u, err)
		}
	}
}
