package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert/python"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// pythonVersion is the version of the original that is stood in for.
const pythonVersion = "3.0.0"

// runPython runs sslocal, ssserver or sstunnel of the Python original.
func (a *app) runPython(p dropin.Program, args []string) error {
	call, err := python.Read(p, args, os.ReadFile)
	quiet := dropin.IsDaemon() // what was said in the foreground is not said again
	for _, line := range call.Lines {
		if !quiet && line.Level >= call.Level() {
			a.sayPython(line)
		}
	}
	if err != nil {
		return a.failPython(call.Program, err)
	}
	switch {
	case call.Help:
		python.WriteHelp(a.Stdout, call.Program)
		return nil
	case call.Version:
		fmt.Fprintf(a.Stdout, "Shadowsocks %s (umbra %s)\n", pythonVersion, versionOf())
		return nil
	case call.Daemon == "stop":
		return a.stopPython(call)
	}
	doc, err := call.Translate(a.reg, call.Role)
	if err != nil {
		return a.failPython(call.Program, err)
	}
	if call.PrintTOML {
		_, err := fmt.Fprint(a.Stdout, doc)
		return fail(err)
	}
	if call.Daemon == "restart" && !dropin.IsDaemon() {
		if err := a.stopPython(call); err != nil {
			return err
		}
	}
	stand := &standIn{
		served: a.made(call.Program.Name, func() (string, error) {
			call, err := python.Read(p, args, os.ReadFile) // a reload reads the file anew
			if err != nil {
				return "", err
			}
			doc, err := call.Translate(a.reg, call.Role)
			if err != nil {
				return "", err
			}
			return doc.String(), nil
		}),
		user:        call.User,
		background:  call.Background(),
		daemon:      dropin.Daemon{PidFile: call.PidFile, LogFile: call.LogFile},
		interrupted: statusFailure,
	}
	what := "server"
	if call.Role != dropin.Server {
		what = string(call.Role)
	}
	for _, at := range call.Listens(call.Role) {
		stand.lines = append(stand.lines, "starting "+what+" at "+at)
	}
	return a.failPython(call.Program, a.stand(stand))
}

// stopPython stops a daemon. One that does not run is stopped already.
func (a *app) stopPython(call *python.Call) error {
	err := dropin.Daemon{PidFile: call.PidFile}.Stop()
	switch {
	case errors.Is(err, dropin.ErrNotRunning):
		a.sayPython(python.Line{Level: slog.LevelError, Text: "not running"})
		return nil
	case err != nil:
		return a.failPython(call.Program, err)
	}
	fmt.Fprintln(a.Stdout, "stopped")
	return nil
}

// failPython says why a program ends, and returns the exit.
func (a *app) failPython(p dropin.Program, err error) error {
	if err == nil {
		return nil
	}
	if _, isExit := errors.AsType[*exit](err); isExit {
		return err
	}
	e, isKnown := errors.AsType[*python.Error](err)
	if !isKnown {
		if f, isFailure := errors.AsType[*failure](err); isFailure {
			err = f.err
		}
		if err != nil {
			a.sayPython(python.Line{Level: slog.LevelError, Text: err.Error()})
		}
		return &exit{statusFailure}
	}
	if e.Bare {
		fmt.Fprintln(a.Stderr, e.Text)
	} else {
		a.sayPython(e.Line)
	}
	if e.Usage {
		python.WriteHelp(a.Stdout, p)
	}
	return &exit{e.Status}
}

// sayPython writes a line as the original does: those from before its log is set up have no
// time.
func (a *app) sayPython(line python.Line) {
	r := slog.NewRecord(time.Now(), line.Level, line.Text, 0)
	if line.Plain {
		fmt.Fprintf(a.Stderr, "%s: %s\n", line.Level, line.Text)
		return
	}
	h := newLogs(plainLines{a.Stderr})
	h.set(config.Log{Format: config.FormatPython, Level: config.Level(slog.LevelDebug)})
	_ = h.Handle(context.Background(), r)
}
