package chain_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// hop is an outbound over any wire, or an error.
type hop struct {
	core.Dialer
	err error
}

func (h hop) Over(wire core.Dialer) (core.Dialer, error) {
	if h.err != nil || h.Dialer == nil {
		return nil, h.err
	}
	return h.Dialer, nil
}

// gate is asked before a client's first byte.
type gate struct{}

func (gate) Admit(core.Client) error { return nil }
func (gate) Observe(core.Event)      {}

// branch returns the stages of a chain, and builds them of parts.
func branch(t *testing.T, parts map[string]any, stages ...string) (*chain.Branch, error) {
	t.Helper()
	env := coretest.Env(t)
	env.Section, env.Name = core.SectionOutbound, "split"
	graph := coretest.Graph{}
	var c core.Chain
	for _, text := range stages {
		var s core.ChainStage
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		graph[s] = parts[text]
		c = append(c, s)
	}
	env.Graph = graph
	return chain.New(env, "otherwise", c)
}

// TestBranch dials through a resolver and two hops: the request notes the hops, and has the
// resolver's addresses.
func TestBranch(t *testing.T) {
	near, far := coretest.NewDialer(), coretest.NewDialer()
	names := &coretest.Resolver{Names: map[string][]netip.Addr{"www.test": {netip.MustParseAddr("192.0.2.1")}}}
	b, err := branch(t, map[string]any{"resolver.names": names, "outbound.oslo": hop{Dialer: near}, "outbound.lima": hop{Dialer: far}}, "resolver.names", "outbound.oslo", "outbound.lima")
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Over(coretest.NewDialer())
	if err != nil {
		t.Fatal(err)
	}
	r := &core.Request{Target: coretest.Addr(t, "www.test:1"), Flow: new(core.Flow)}
	s, err := d.DialStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got := strings.Join(r.Flow.Chosen(), " "); got != "outbound.oslo outbound.lima" {
		t.Errorf("got the path %s", got)
	}
	if got := far.Requests(); len(got) != 1 || len(got[0].IPs) != 1 || len(near.Requests()) != 0 {
		t.Errorf("got %+v, want one request with its addresses at the last hop", got)
	}
	var placed *core.ComponentError
	if err := d.CheckPackets(); !errors.As(err, &placed) || placed.Name != "split" || !strings.Contains(err.Error(), "otherwise.1: outbound.oslo carries no UDP") {
		t.Errorf("packets: got %v", err)
	}
}

// TestBranchMistakes has a mistake of each sort placed at its stage.
func TestBranchMistakes(t *testing.T) {
	direct := hop{err: core.ErrFirstHop}
	for _, tc := range []struct {
		name   string
		parts  map[string]any
		stages string
		want   string
	}{
		{"a gate", map[string]any{"policy.ban": gate{}, "outbound.a": hop{Dialer: coretest.NewDialer()}}, "policy.ban outbound.a", "otherwise.0: policy.ban is asked before"},
		{"an observer", map[string]any{"observer.log": new(coretest.Observer), "outbound.a": hop{Dialer: coretest.NewDialer()}}, "observer.log outbound.a", "otherwise.0: observer.log is notified of the connections of a pipeline"},
		{"a first hop", map[string]any{"outbound.a": hop{Dialer: coretest.NewDialer()}, "outbound.direct": direct}, "outbound.a outbound.direct", "otherwise.1: outbound.direct can only be the first hop of a chain"},
		{"nothing", map[string]any{"outbound.a": hop{}}, "outbound.a", "otherwise.0: outbound.a made neither a dialer nor an error"},
		{"no outbound", map[string]any{"resolver.names": &coretest.Resolver{}}, "resolver.names", "otherwise: no outbound"},
	} {
		b, err := branch(t, tc.parts, strings.Fields(tc.stages)...)
		if err == nil {
			_, err = b.Over(coretest.NewDialer())
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}
