package engine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/plan"
)

// Question is a request that is not made: Route tells where it would go.
type Question struct {
	User    string
	Client  netip.Addr
	Target  core.Addr
	Network core.Network
	Ask     bool // look names up
}

// RoutePath is where a request would go from one pipeline.
type RoutePath struct {
	Pipeline string      `json:"pipeline"`
	Steps    []RouteStep `json:"steps"`
}

// RouteStep is one component on the way, in the order in which a request passes them.
type RouteStep struct {
	Component string        `json:"component"`
	Text      string        `json:"text"`            // what it does
	Found     []string      `json:"found,omitempty"` // addresses of the target's name
	Error     string        `json:"error,omitempty"` // why the request ends here
	Branches  []RouteBranch `json:"branches,omitempty"`
}

// RouteBranch is one of the branches of a component.
type RouteBranch struct {
	Label   string        `json:"label"`
	Verdict core.Verdict  `json:"verdict"`
	Why     []RouteReason `json:"why,omitempty"`
	Text    string        `json:"text,omitempty"`
	Steps   []RouteStep   `json:"steps,omitempty"` // if it is or may be taken
}

// RouteReason is a core.RuleReason with its line.
type RouteReason struct {
	core.RuleReason
	Line int `json:"line,omitempty"`
}

// Choose asks a component of a file which branch a request would take.
type Choose func(ctx context.Context, id config.ID, r *core.Request, ask bool) ([]core.Choice, error)

// Route tells where a request would go from each pipeline of f. It builds f and serves
// nothing. With choose, that is asked in the place of the file's own components, which know
// no member that is down.
func Route(ctx context.Context, reg *core.Registry, f *config.File, log *slog.Logger, q Question, choose Choose) ([]RoutePath, error) {
	g, err := build(reg, f, new(core.Process), log)
	if err != nil {
		return nil, err
	}
	g.stage.Commit() // in a process of its own, which ends here
	if choose == nil {
		choose = g.choose
	}
	t := tracer{generation: g, plan: plan.Of(f), file: f, question: q, ask: choose}
	var all []RoutePath
	for i, p := range t.plan.Pipelines {
		r := &core.Request{
			Network: q.Network, User: q.User, Target: q.Target, Flow: new(core.Flow),
			Client: core.Client{Addr: netip.AddrPortFrom(q.Client, 0), Network: q.Network, Inbound: f.Pipelines[i].Inbound().Name},
		}
		ctx, cancel := context.WithTimeout(ctx, f.Pipelines[i].DialTimeout.Std())
		var stages []plan.Stage
		for _, s := range p.Stages {
			if s.Role == plan.Middleware || s.Role == plan.Hop {
				stages = append(stages, s)
			}
		}
		all = append(all, RoutePath{p.Name, t.steps(ctx, stages, r)})
		cancel()
	}
	return all, g.abandon()
}

// Choose asks a component of the running file which branch a request would take.
func (e *Engine) Choose(ctx context.Context, id config.ID, r *core.Request, ask bool) ([]core.Choice, error) {
	e.mu.Lock()
	g := e.current
	e.mu.Unlock()
	if g == nil {
		return nil, core.ErrShutdown
	}
	return g.choose(ctx, id, r, ask)
}

func (g *generation) choose(ctx context.Context, id config.ID, r *core.Request, ask bool) (all []core.Choice, err error) {
	built, ok := g.built[id]
	if !ok {
		return nil, fmt.Errorf("the running file has no %s", id)
	}
	c, ok := built.(core.Chooser)
	if !ok {
		return nil, nil // its kind does not say
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return c.Choices(ctx, r, ask)
}

// tracer follows a request through a plan.
type tracer struct {
	*generation
	plan     *plan.Plan
	file     *config.File
	question Question
	ask      Choose
}

// steps follows a request through the stages of a chain.
func (t *tracer) steps(ctx context.Context, stages []plan.Stage, r *core.Request) []RouteStep {
	var all []RouteStep
	for _, s := range stages {
		step := RouteStep{Component: s.Component, Text: t.text(s)}
		id := idOf(s.Component)
		err := func() error {
			switch built := t.built[id].(type) {
			case core.Previewer:
				next, err := built.Preview(ctx, r, t.question.Ask)
				if err == nil {
					r = next
				}
				return err
			case core.Resolver:
				if !t.question.Ask || r.Target.Name() == "" || len(r.IPs) > 0 {
					return nil
				}
				found, err := core.Tell(ctx, built, r.Target.Name())
				if err != nil {
					return err
				}
				known := *r
				for _, f := range found {
					known.IPs = append(known.IPs, f.IP)
					step.Found = append(step.Found, foundText(f))
				}
				r = &known
			}
			return nil
		}()
		if err == nil && len(s.Branches) > 0 {
			step.Branches, err = t.branches(ctx, id, s.Branches, r)
		}
		if err != nil {
			step.Error = err.Error()
			return append(all, step)
		}
		all = append(all, step)
	}
	return all
}

// foundText returns an address with its TTL.
func foundText(f core.Found) string {
	if f.TTL > 0 {
		return f.IP.String() + ", TTL " + f.TTL.Round(time.Second).String()
	}
	return f.IP.String()
}

// branches follows a request through the branches that it may take.
func (t *tracer) branches(ctx context.Context, id config.ID, branches []plan.Branch, r *core.Request) ([]RouteBranch, error) {
	choices, err := t.ask(ctx, id, r, t.question.Ask)
	if err != nil {
		return nil, err
	}
	if choices != nil && len(choices) != len(branches) {
		return nil, fmt.Errorf("the process has %s with %d branches, and the file %d; was the file reloaded?", id, len(choices), len(branches))
	}
	var all []RouteBranch
	for i, b := range branches {
		to := RouteBranch{Label: b.Label, Verdict: core.VerdictDepends}
		if len(branches) == 1 {
			to.Verdict = core.VerdictYes
		}
		if choices != nil {
			to.Verdict, to.Text = choices[i].Verdict, choices[i].Text
			for _, why := range choices[i].Why {
				to.Why = append(to.Why, RouteReason{why, t.line(b.Rule, why.Key)})
			}
		}
		if to.Verdict == core.VerdictYes || to.Verdict == core.VerdictDepends || to.Verdict == core.VerdictSpare {
			to.Steps = t.steps(ctx, b.Stages, r)
		}
		all = append(all, to)
	}
	return all, nil
}

// line returns the line of an option of a rule, or 0.
func (t *tracer) line(rule, key string) int {
	if rule == "" {
		return 0
	}
	return t.file.Line(idOf(rule), key)
}

// text says what a stage does.
func (t *tracer) text(s plan.Stage) string {
	c := t.plan.Components[s.Component]
	var servers []string
	for _, server := range c.Servers {
		servers = append(servers, server.Address)
	}
	text, _, _ := strings.Cut(cmp.Or(c.Help, c.Kind), ";")
	if len(servers) > 0 {
		text = c.Kind + " to " + strings.Join(servers, ", ")
	}
	if s.Through != "" {
		text += ", through " + s.Through
	}
	return text
}
