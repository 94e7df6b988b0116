package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core/probe"
)

// probe says what it will do, does it, and writes what came of it.
func (a *app) probe(cfg probe.Config, asJSON bool) error {
	plan, err := probe.NewPlan(cfg)
	if err != nil {
		return fail(err)
	}
	a.announce(cfg, plan)
	ctx, stop := a.untilSignal()
	defer stop()
	res, err := a.runPlan(ctx, plan)
	stopped := ctx.Err() != nil
	switch {
	case err != nil && stopped:
		return fail(errors.New("stopped before the first probe"))
	case err != nil:
		return fail(err)
	}
	v := probe.Judge(res)
	if asJSON {
		err = probe.WriteJSON(a.Stdout, res, v)
	} else if err = probe.WriteTable(a.Stdout, res); err == nil {
		fmt.Fprintln(a.Stdout)
		err = probe.WriteVerdict(a.Stdout, res, v)
	}
	if err == nil && !v.Clean() {
		return &failure{}
	}
	return fail(err)
}

// announce says what will be sent, before anything is.
func (a *app) announce(cfg probe.Config, plan *probe.Plan) {
	what := "random bytes of many lengths and the first bytes of other protocols"
	if cfg.Key != nil {
		what += fmt.Sprintf(", and requests for %s, good, repeated, changed and cut off", cfg.Key.Target)
	}
	if cfg.Packets {
		what += "; over UDP too"
	}
	fmt.Fprintf(a.Stderr, "probing %s: %s\nat most %s and %d KiB sent; takes about %s, at most %s; Ctrl-C ends it and shows what was seen\n",
		cfg.Server, what, count(plan.Connections(), "connection"), (plan.Bytes()+1023)/1024,
		plan.Left(0, 0).Round(time.Second), plan.Longest().Round(time.Second))
}

// runPlan runs a plan with a bar that goes on while nothing happens.
func (a *app) runPlan(ctx context.Context, plan *probe.Plan) (*probe.Result, error) {
	p := progress{to: a.Stderr, total: cmp.Or(plan.Probes(), 1), on: isTerminal(a.Stderr)}
	defer p.end()
	type step struct {
		done int
		last probe.Record
	}
	type outcome struct {
		res *probe.Result
		err error
	}
	steps, end := make(chan step), make(chan outcome, 1)
	go func() {
		res, err := plan.Run(ctx, func(done int, r probe.Record) { steps <- step{done, r} })
		end <- outcome{res, err}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	done, since, longest := 0, time.Now(), time.Duration(0)
	for {
		left := max(0, plan.Left(done, longest)-time.Since(since))
		p.show(done, fmt.Sprintf("about %s left", left.Round(time.Second)))
		select {
		case s := <-steps:
			done, since = s.done, time.Now()
			if s.last.Finish == probe.Open {
				longest = max(longest, s.last.After)
			}
		case <-tick.C:
		case o := <-end:
			return o.res, o.err
		}
	}
}
