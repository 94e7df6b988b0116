package route

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestMeasure counts requests by rule, over a reload too.
func TestMeasure(t *testing.T) {
	w := newWorld()
	w.env = coretest.Env(t)
	count := func() map[string]float64 {
		d := w.dialer(t).(*dialer)
		ask := func(to string) {
			if s, err := d.DialStream(t.Context(), &core.Request{Network: core.TCP, Target: coretest.Addr(t, to)}); err == nil {
				s.Close()
			}
		}
		coretest.TestMeasurer(t, d.Outbound, func() {
			ask("x.ads:1")
			ask("y.ads:1")
			ask("192.0.2.1:1")
		})
		c, err := d.OpenPackets(t.Context(), &core.Request{Network: core.UDP, Flow: new(core.Flow)})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // one branch of one association
			_, _ = c.WritePackets([]core.Packet{{Addr: coretest.Addr(t, "10.0.0.1:1"), Data: []byte("x")}})
		}
		c.Close()
		return coretest.Figures(d.Outbound)
	}
	series := func(rule string) string {
		return `umbra_route_decisions_total{route="split",rule="` + rule + `"}`
	}
	w.office.Packets = packetPipe
	if got, want := count(), map[string]float64{series("rule.ads"): 2, series("rule.office"): 1, series("otherwise"): 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := count(), map[string]float64{series("rule.ads"): 4, series("rule.office"): 2, series("otherwise"): 2}; !maps.Equal(got, want) {
		t.Errorf("after a reload: got %v, want %v", got, want)
	}
}

// TestStep keeps the rule of a request whose flow is recording.
func TestStep(t *testing.T) {
	w := newWorld()
	w.names = &coretest.Resolver{Err: errors.New("no answer")}
	w.ads.Packets = packetPipe
	d := w.dialer(t)
	for _, tc := range []struct{ to, rule, err string }{
		{"x.ads:1", "rule.ads", ""},
		{"192.0.2.1:1", "otherwise", ""},
		{"git.corp:1", "rule.office", "rule.office needs the addresses of the target: no answer"},
	} {
		quiet, told := new(core.Flow), new(core.Flow)
		told.Record()
		for _, f := range []*core.Flow{quiet, told} {
			if s, err := d.DialStream(t.Context(), &core.Request{Network: core.TCP, Target: coretest.Addr(t, tc.to), Flow: f}); err == nil {
				s.Close()
			}
		}
		if len(quiet.Steps()) != 0 {
			t.Errorf("%s: not recording: got %v", tc.to, quiet.Steps())
		}
		wantStep(t, told, tc.rule, tc.err)
		if tc.err != "" && (told.Steps()[0].Kind != core.StepResolve || told.Steps()[0].Name != "resolver.names") {
			t.Errorf("got %v, want the lookup first", told.Steps())
		}
	}
	f := new(core.Flow)
	f.Record()
	c, err := d.OpenPackets(t.Context(), &core.Request{Network: core.UDP, Flow: f})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.WritePackets([]core.Packet{{Addr: coretest.Addr(t, "x.ads:1"), Data: []byte("x")}})
	wantStep(t, f, "rule.ads", "")
}

// packetPipe opens an association of which nobody reads the other end.
func packetPipe(context.Context, *core.Request) (core.PacketConn, error) {
	near, _ := coretest.PacketPipe()
	return near.Conn, nil
}

func wantStep(t *testing.T, f *core.Flow, rule, cause string) {
	t.Helper()
	all := slices.DeleteFunc(slices.Clone(f.Steps()), func(s core.Step) bool { return s.Kind != core.StepRule })
	if len(all) != 1 {
		t.Fatalf("got %v, want one step", all)
	}
	s := all[0]
	got := ""
	if s.Err != nil {
		got = s.Err.Error()
	}
	if s.Kind != core.StepRule || s.Name != "outbound.split" || s.Detail != rule || got != cause || s.Began.IsZero() {
		t.Errorf("got %+v, want %s and error %q", s, rule, cause)
	}
}
