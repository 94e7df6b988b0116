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
		{"policy", struct{}{}, "is neither a gate, a middleware nor an observer, so it would do nothing; it has no exported methods"},
		{"policy", typingError{}, "is neither a gate, a middleware nor an observer, so it would do nothing; its methods are Admitt, Observed"},
		{"policy", halfGate{}, "has the method Admit but is no core.Gate, so the method would never be called: it has no method Observe(core.Event)"},
		{"policy", bothTypes{}, "has the method Wrap but is no core.Middleware, so the method would never be called: Wrap is a func(core.Dialer, core.Dialer) core.Dialer, want func(core.Dialer) core.Dialer"},
		{"policy", pointerGate{}, "has the method Admit but is no core.Gate, so the method would never be called: the methods have a pointer receiver; return a pointer"},
		{"policy", earlyRunner{}, "has the method Run but is no core.Runner, so the method would never be called: Run is a func(context.Context) error, want func(context.Context)"},
		{"policy", helpful{}, "has the method Command but is no core.Commander, so the method would never be called: Command is a func(context.Context, ...string) (interface {}, error), want func(context.Context, []string) (interface {}, error)"},
		{"policy", nil, "its constructor returned neither a component nor an error"},
		{"policy", (*pointerGate)(nil), "its constructor returned neither a component nor an error"},
		{"inbound", listener{}, "has the method ServesPackets but is no core.PacketInbound, so the method would never be called: ServesPackets is a func() (bool, error), want func() bool"},
		{"resolver", ended{}, "has the method Shutdown but is no core.Shutdowner, so the method would never be called: Shutdown is a func(), want func(context.Context) error"},
	} {
		name := fmt.Sprintf("k%d", i)
		switch tc.section {
		case "policy":
			core.Add(&reg.Policy, name, func(core.Env, struct{}) (core.Policy, error) { return tc.c, nil })
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
