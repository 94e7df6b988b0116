package failover_test

import (
	"context"
	"errors"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/failover"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// bare is an outbound that dials over its wire, or fails.
type bare struct{ err error }

func (b bare) Over(wire core.Dialer) (core.Dialer, error) {
	if b.err == nil {
		return wire, nil
	}
	d := coretest.NewDialer()
	d.Stream = func(context.Context, *core.Request) (core.Stream, error) { return nil, b.err }
	d.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return nil, b.err }
	return d, nil
}

func newOutbound(t testing.TB, members ...bare) core.Outbound {
	t.Helper()
	env, graph := coretest.Env(t), coretest.Graph{}
	var o failover.Options
	o.Options = group.Options{Attempts: 2, Fall: 3, Rise: 2, Rest: option.Duration(30e9), AllDown: "try", OnSwitch: "leave"}
	for i, m := range members {
		name := core.Ref[core.Outbound](string(rune('a' + i)))
		graph[name] = m
		o.Members = append(o.Members, name)
	}
	env.Graph = graph
	out, err := failover.New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConformance(t *testing.T) {
	coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return newOutbound(t, bare{}, bare{}) })
}

// TestOrder takes the first member, the second one if that fails, and the third once the
// first two are out.
func TestOrder(t *testing.T) {
	down := errors.New("down")
	d, err := newOutbound(t, bare{down}, bare{down}, bare{errors.New("last")}).Over(coretest.NewDialer())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a: down; b: down", "a: down; b: down", "a: down; b: down", "c: last; a: down"}
	for _, want := range want {
		_, err := d.DialStream(t.Context(), &core.Request{Network: core.TCP, Flow: new(core.Flow)})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	_, err := failover.New(coretest.Env(t), failover.Options{})
	if err == nil {
		t.Error("a group without members")
	}
}
