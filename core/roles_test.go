package core_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

type (
	observer    struct{}
	halfGate    struct{}
	typingError struct{}
	bothTypes   struct{ observer }
	pointerGate struct{ observer }
	earlyRunner struct{ observer }
	helpful     struct{ observer }
	listener    struct{ core.Inbound }
	ended       struct{ core.Resolver }
	allSteps    struct{ observer }
	oneDrop     struct{ observer }
)

func (observer) Observe(core.Event) {}

func (halfGate) Admit(core.Client) error { return nil }

func (typingError) Admitt(core.Client) error { return nil }
func (typingError) Observed(core.Event)      {}

func (bothTypes) Wrap(d, _ core.Dialer) core.Dialer { return d }

func (*pointerGate) Admit(core.Client) error { return nil }

func (earlyRunner) Run(context.Context) error { return nil }

func (helpful) Command(context.Context, ...string) (any, error) { return nil, nil }

func (listener) ServesPackets() (bool, error) { return true, nil }

func (ended) Shutdown() {}

func (allSteps) WantsSteps() {}

func (oneDrop) ObserveDrops(core.Client, []string, []core.Dropped) {}

// A component that would do nothing, or not all that it looks like, is refused with
// what to mend.
func TestBuildChecks(t *testing.T) {
	reg := new(core.Registry)
	for i, tc := range []struct {
		section core.Section
		c       any
		want    string // "" for none
	}{
		{"policy", observer{}, ""},
		{"policy", (*pointerGate)(new(pointerGate)), ""},
		{"policy", struct{}{}, "is neither a core.Gate, a core.Middleware nor a core.Observer, so it would do nothing"},
		{"policy", typingError{}, "is neither a core.Gate, a core.Middleware nor a core.Observer, so it would do nothing"},
		{"policy", halfGate{}, "has the method Admit(core.Client) error but is no core.Gate, so it would never be called; want Admit(core.Client) error, and Observe(core.Event)"},
		{"policy", bothTypes{}, "has the method Wrap(core.Dialer, core.Dialer) core.Dialer but is no core.Middleware, so it would never be called; want Wrap(core.Dialer) core.Dialer"},
		{"policy", pointerGate{}, "has the method Admit with a pointer receiver, so it would never be called; return a pointer"},
		{"policy", earlyRunner{}, "has the method Run(context.Context) error but is no core.Runner, so it would never be called; want Run(context.Context)"},
		{"policy", helpful{}, "has the method Command(context.Context, ...string) (interface {}, error) but is no core.Commander, so it would never be called; want Command(context.Context, []string) (any, error)"},
		{"policy", nil, "its constructor returned neither a component nor an error"},
		{"policy", (*pointerGate)(nil), "its constructor returned neither a component nor an error"},
		{"inbound", listener{}, "has the method ServesPackets() (bool, error) but is no core.PacketInbound, so it would never be called; want ServesPackets() bool"},
		{"resolver", ended{}, "has the method Shutdown() but is no core.Shutdowner, so it would never be called; want Shutdown(context.Context) error"},
		{"observer", observer{}, ""},
		{"observer", (*observer)(nil), "its constructor returned neither a component nor an error"},
		{"observer", allSteps{}, "has the method WantsSteps() but is no core.StepObserver, so it would never be called; want WantsSteps() bool, and Observe(core.Event)"},
		{"policy", oneDrop{}, "has the method ObserveDrops(core.Client, []string, []core.Dropped) but is no core.DropObserver, so it would never be called; want ObserveDrops(core.Drops), and Observe(core.Event)"},
	} {
		name := fmt.Sprintf("k%d", i)
		switch tc.section {
		case "policy":
			core.Add(&reg.Policy, name, func(core.Env, struct{}) (core.Policy, error) { return tc.c, nil })
		case "observer":
			core.Add(&reg.Observer, name, func(core.Env, struct{}) (core.Observer, error) { return tc.c.(core.Observer), nil })
		case "inbound":
			core.Add(&reg.Inbound, name, func(core.Env, struct{}) (core.Inbound, error) { return tc.c.(core.Inbound), nil })
		case "resolver":
			core.Add(&reg.Resolver, name, func(core.Env, struct{}) (core.Resolver, error) { return tc.c.(core.Resolver), nil })
		}
		_, err := reg.Section(tc.section).Build(name, core.Env{}, new(struct{}))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tc.want)) {
			t.Errorf("%T: got %v, want %q", tc.c, err, tc.want)
		}
	}
	if _, err := reg.Section("policy").Build("lost", core.Env{}, nil); err == nil {
		t.Error("an unknown kind: got nil, want an error")
	}
}
