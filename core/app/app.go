// Package app is the command line: what a program of umbra's kinds does with
// its arguments, its files and its signals. cmd/umbra is ten lines around it,
// and so is the program of anyone who adds kinds.
package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/dropin"
	"github.com/umbra-proxy/umbra/core/link"
	"github.com/umbra-proxy/umbra/core/manager"
)

// Exit statuses.
const (
	statusOK      = 0
	statusFailure = 1 // a bad file or a failure
	statusUsage   = 2 // wrong usage
)

// Console is what a program has around it.
type Console struct {
	Name   string   // by which the program was called, of a path the last part counts; "" for umbra
	Args   []string // without the name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	// Signals is called once a program runs as a service. From then on SIGHUP,
	// SIGINT and SIGTERM come from the channel, until stop.
	Signals func() (signals <-chan os.Signal, stop func())
}

// Main runs the program with the kinds that the functions register, and exits.
func Main(register ...func(*core.Registry)) {
	os.Exit(Run(Console{os.Args[0], os.Args[1:], os.Stdin, os.Stdout, os.Stderr, notify}, register...))
}

// notify takes the signals of the process. SIGPIPE is ignored: a reader of the
// log that goes away must not end the service.
func notify() (signals <-chan os.Signal, stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	c := make(chan os.Signal, 8) // more of them at once say nothing new
	signal.Notify(c, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	return c, func() { signal.Stop(c) }
}

// Run is Main for a given console. It returns the exit status: 0 if all went
// well, 1 for a bad file or a failure, 2 for wrong usage.
func Run(console Console, register ...func(*core.Registry)) int {
	a := &app{Console: console, reg: &core.Registry{}}
	for _, r := range register {
		r(a.reg)
	}
	if p, found := dropin.Find(a.Name); found {
		return a.statusOf(a.program(p, a.Args))
	}
	cmd, err := a.root().ExecuteC()
	if err == nil {
		return statusOK
	}
	if e, isExit := errors.AsType[*exit](err); isExit {
		return e.status
	}
	f, isFailure := errors.AsType[*failure](err)
	if !isFailure {
		fmt.Fprintf(a.Stderr, "%s: %v\n", cmd.CommandPath(), err)
		writeUsage(a.Stderr, cmd)
		fmt.Fprintf(a.Stderr, "try \"%s --help\"\n", cmd.CommandPath())
		return statusUsage
	}
	if f.err != nil {
		a.report(f.err)
	}
	return statusFailure
}

// app is one run of the program.
type app struct {
	Console
	reg *core.Registry
}

// failure is what a command returns when its work failed. Any other error of a
// command is wrong usage.
type failure struct{ err error } // nil if it has been logged

func (f *failure) Error() string { return fmt.Sprint(f.err) }

// fail returns err as a failure, or nil for nil.
func fail(err error) error {
	if f, isFailure := err.(*failure); isFailure {
		return f
	}
	if err == nil {
		return nil
	}
	return &failure{err}
}

// report writes what failed to the standard error stream: the mistakes in a
// file as they are, a line each, anything else after the program's name.
func (a *app) report(err error) {
	prefix := "umbra: "
	if _, isMistake := errors.AsType[config.Problem](err); isMistake {
		prefix = ""
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(a.Stderr, prefix+line)
	}
}

// load reads and checks the file at path, or the standard input for "-".
func (a *app) load(path string, beside ...config.Extra) (*config.File, error) {
	read := func(beside ...config.Extra) (*config.File, error) { return config.Load(path, a.reg, beside...) }
	switch {
	case link.Is(path):
		read = a.links([]string{path}, defaultListen).read
	case path == "-": // it can be read once
		data, err := a.readStdin()
		if err != nil {
			return nil, err
		}
		read = func(beside ...config.Extra) (*config.File, error) {
			return config.LoadText("stdin", data, a.reg, beside...)
		}
	}
	f, err := read(beside...)
	if err != nil || !f.Manager.IsSet() || len(beside) > 0 {
		return f, err
	}
	return f, manager.CheckTable(a.reg, f, func(beside string) error {
		_, err := read(extras(beside)...)
		return err
	})
}

// readStdin reads the standard input, as much as a file may have.
func (a *app) readStdin() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(a.Stdin, config.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return data, nil
}
