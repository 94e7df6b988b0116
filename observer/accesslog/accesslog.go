// Package accesslog is an observer that writes a line of JSON for each connection that has
// ended: to a file or to a standard stream.
package accesslog

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Log is the observer.
type Log struct {
	options Options
	steps   bool // a field takes the recording of steps
	log     *slog.Logger
	lines   *lines // nil until the file is served
}

var (
	_ core.StepObserver = (*Log)(nil)
	_ core.Runner       = (*Log)(nil)
)

// New returns the observer. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Observer, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	l := &Log{options: o, log: env.Log, steps: slices.ContainsFunc(o.Fields, Field.wantsSteps)}
	core.Keep(env, func(old *lines) *lines {
		if old == nil {
			old = new(lines)
		}
		old.join(l)
		l.lines = old
		return old
	})
	return l, nil
}

// check finds what the tags of the options can't say.
func (o Options) check() error {
	if len(o.Fields) == 0 {
		return core.BadOption("fields", "empty; name at least one")
	}
	for i, f := range o.Fields {
		if slices.Contains(o.Fields[:i], f) {
			return core.BadOption("fields", "%s stands twice", f)
		}
	}
	if err := o.Output.check(); err != nil {
		return &core.OptionError{Key: "output", Err: err}
	}
	return nil
}

// WantsSteps implements core.StepObserver.
func (l *Log) WantsSteps() bool { return l.steps }

// Observe writes the line of a connection that has ended.
func (l *Log) Observe(e core.Event) {
	if !e.Kind.Ends() || l.options.Results == ResultsFailed && resultOf(e) == ok {
		return
	}
	b := make([]byte, 0, 512) // on the stack
	l.lines.write(l, l.options.append(b, e))
}

// Run opens the output, again if the file of before has another one, and holds it until no
// connection is left.
func (l *Log) Run(ctx context.Context) {
	l.lines.open(l)
	<-ctx.Done()
	l.lines.leave()
}

// ok is the result of an orderly end, as in umbra_connections_total.
const ok = "ok"

// resultOf returns in one word how a connection has ended.
func resultOf(e core.Event) string {
	switch reason := e.Reason(); {
	case reason != "":
		return reason
	case e.Kind == core.Closed:
		return ok
	}
	return core.ReasonOf(errUnknown)
}

var errUnknown = errors.New("not known") // what a failure without an error is
