package app_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"umbra":         func() { app.Main(plugins.Standard) },
		"umbra-counter": func() { app.Main(plugins.Standard, registerCounter) },
	})
}

// TestScripts runs what a person would type. Each script has $PORT1 to $PORT3,
// free ports of 127.0.0.1, and these commands beside those of testscript:
//
//	status N COMMAND…   the command exits with status N
//	waitline FILE EXPR  waits until a line of the file matches
//	signal NAME [TEXT]  sends HUP, INT or TERM to what runs in the background, or
//	                    to those of it that have TEXT in their arguments
//	taken PORT          listens on a port until the end of the script
//	web PORT            serves HTTP on a port until the end of the script
//	expand FILE…        replaces the variables in files
//	publish FOLDER MODULE VERSION PROXY
//	                    makes a folder a version of a module in a proxy
//
// $SOURCE is the checkout that is tested. The go command finds its caches.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		UpdateScripts:       os.Getenv("UMBRA_UPDATE_SCRIPTS") != "",
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each exit takes a second under the race detector
			env.Setenv("GOARCH", runtime.GOARCH)      // umbra build runs what it built if that is for this machine
			for name, value := range goCaches(t) {
				env.Setenv(name, value)
			}
			for i, port := range freePorts(t, 3) {
				env.Setenv(fmt.Sprintf("PORT%d", i+1), strconv.Itoa(port))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "waitline": waitLine, "signal": sendSignal, "taken": taken, "web": web, "expand": expand,
			"publish": publish,
		},
	})
}

// freePorts returns ports that nobody listened on a moment ago.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // after all are chosen, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("got exit status %d, want %d", got, want)
	}
}

func waitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitline FILE EXPR")
	}
	expr, path := regexp.MustCompile("(?m)"+args[1]), ts.MkAbs(args[0])
	var text []byte
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); <-tick.C {
		if text, _ = os.ReadFile(path); expr.Match(text) {
			return
		}
	}
	ts.Fatalf("no line of %s matches %s:\n%s", args[0], args[1], text)
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}
	if neg || len(args) < 1 || len(args) > 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal HUP|INT|TERM [TEXT]")
	}
	text := strings.Join(args[1:], "")
	for _, cmd := range ts.BackgroundCmds() {
		if strings.Contains(strings.Join(cmd.Args, " "), text) {
			ts.Check(cmd.Process.Signal(signals[args[0]]))
		}
	}
}

func taken(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+strings.Join(args, ""))
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

func web(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+strings.Join(args, ""))
	ts.Check(err)
	s := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0)}
	ts.Defer(func() { s.Close() })
	go func() { _ = s.Serve(l) }() // until Close
}

// expand also takes files away from other users, as their owner should.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, path := range args {
		text := os.Expand(ts.ReadFile(path), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(path), []byte(text), 0o600))
		ts.Check(os.Chmod(ts.MkAbs(path), 0o600))
	}
}
