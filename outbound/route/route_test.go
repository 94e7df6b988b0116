package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// below is a rule for the names below one, and for addresses in a range.
type below struct {
	core.Dialer
	name string
	in   netip.Prefix
	on   core.Networks
}

func (b below) Over(core.Dialer) (core.Dialer, error) { return b.Dialer, nil }
func (b below) On() core.Networks                     { return b.on }

func (b below) Judge(_ *core.Request, to core.Addr, ips []netip.Addr) core.Judgement {
	switch {
	case b.name != "" && strings.HasSuffix(to.Name(), b.name), to.IP().IsValid() && b.in.Contains(to.IP()), slices.ContainsFunc(ips, b.in.Contains):
		return core.RuleHolds
	case b.in.IsValid() && to.Name() != "" && len(ips) == 0:
		return core.RuleNeedsIPs
	}
	return core.RuleFails
}

// fixed is an outbound that is one Dialer, whatever its wire.
type fixed struct{ core.Dialer }

func (f fixed) Over(core.Dialer) (core.Dialer, error) { return f.Dialer, nil }

// world is a route with three branches: names below "ads", then 10.0.0.0/8, then the rest.
type world struct {
	ads, office, rest *coretest.Dialer
	names             *coretest.Resolver // nil for none
	remember          int
	env               core.Env // of a process that goes on; by default one of its own
}

func newWorld() *world {
	return &world{ads: coretest.NewDialer(), office: coretest.NewDialer(), rest: coretest.NewDialer(), remember: 256}
}

// dialer builds the route.
func (w *world) dialer(t testing.TB) core.Dialer {
	t.Helper()
	env := w.env
	if env.Process == nil {
		env = coretest.Env(t)
	}
	env.Name = "split"
	o := Options{Rules: []core.Ref[core.Rule]{"ads", "office"}, Remember: w.remember}
	var rest core.ChainStage
	if err := rest.UnmarshalText([]byte("outbound.rest")); err != nil {
		t.Fatal(err)
	}
	o.Otherwise = core.Chain{rest}
	graph := coretest.Graph{
		core.Ref[core.Rule]("ads"):    below{Dialer: w.ads, name: ".ads"},
		core.Ref[core.Rule]("office"): below{Dialer: w.office, in: netip.MustParsePrefix("10.0.0.0/8"), on: core.OverTCP | core.OverUDP},
		rest:                          fixed{w.rest},
	}
	if w.names != nil {
		o.Resolver = "names"
		graph[core.Ref[core.Resolver]("names")] = w.names
	}
	env.Graph = graph
	out, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := out.Over(dial.Net{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// took returns the branches that were dialled, and how often.
func (w *world) took() string {
	return fmt.Sprintf("ads %d, office %d, rest %d", len(w.ads.Requests()), len(w.office.Requests()), len(w.rest.Requests()))
}

func TestChoose(t *testing.T) {
	names := map[string][]netip.Addr{
		"git.corp": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.0.1")}, "www.test": {netip.MustParseAddr("192.0.2.1")}, "x.ads": {netip.MustParseAddr("10.0.0.1")},
	}
	for _, tc := range []struct {
		name, to string
		ips      string
		resolver bool
		took     string
		asked    int
		path     string
	}{
		{"a name", "x.ads:1", "", true, "ads 1, office 0, rest 0", 0, "rule.ads"},
		{"an address", "10.1.1.1:1", "", true, "ads 0, office 1, rest 0", 0, "rule.office"},
		{"an address of no rule", "192.0.2.1:1", "", true, "ads 0, office 0, rest 1", 0, "outbound.rest"},
		{"a name with such an address", "git.corp:1", "", true, "ads 0, office 1, rest 0", 1, "rule.office"},
		{"a name with another", "www.test:1", "", true, "ads 0, office 0, rest 1", 1, "outbound.rest"},
		{"a name that nobody looks up", "git.corp:1", "", false, "ads 0, office 0, rest 1", 0, "outbound.rest"},
		{"a name that a stage before has looked up", "git.corp:1", "10.2.2.2", false, "ads 0, office 1, rest 0", 0, "rule.office"},
		{"and the resolver is not asked", "git.corp:1", "192.0.2.9", true, "ads 0, office 0, rest 1", 0, "outbound.rest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			if tc.resolver {
				w.names = &coretest.Resolver{Names: names}
			}
			r := &core.Request{Network: core.TCP, Target: coretest.Addr(t, tc.to), Payload: []byte("payload"), Flow: new(core.Flow)}
			if tc.ips != "" {
				r.IPs = []netip.Addr{netip.MustParseAddr(tc.ips)}
			}
			before := len(r.IPs)
			s, err := w.dialer(t).DialStream(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if got := w.took(); got != tc.took {
				t.Errorf("got %s, want %s", got, tc.took)
			}
			if w.names != nil && len(w.names.Asked()) != tc.asked {
				t.Errorf("got lookups of %q, want %d", w.names.Asked(), tc.asked)
			}
			if got := strings.Join(r.Flow.Chosen(), " "); got != tc.path {
				t.Errorf("got the path %s, want %s", got, tc.path)
			}
			for _, d := range []*coretest.Dialer{w.ads, w.office, w.rest} {
				for _, got := range d.Requests() {
					if string(got.Payload) != "payload" || got.Target != r.Target || len(got.IPs) != before {
						t.Errorf("the branch got %+v, want the request as it was", got)
					}
				}
			}
		})
	}
}

func TestChooseErrors(t *testing.T) {
	w := newWorld()
	w.names = &coretest.Resolver{Err: errors.New("no answer")}
	r := &core.Request{Network: core.TCP, Target: coretest.Addr(t, "git.corp:1"), Flow: new(core.Flow)}
	if _, err := w.dialer(t).DialStream(t.Context(), r); err == nil || !strings.Contains(err.Error(), "rule.office needs the addresses of the target: no answer") || w.took() != "ads 0, office 0, rest 0" {
		t.Errorf("no lookup: got %v and %s", err, w.took())
	}
	w.ads.Stream = func(context.Context, *core.Request) (core.Stream, error) { return nil, syscall.ECONNREFUSED }
	r.Target = coretest.Addr(t, "x.ads:1")
	if _, err := w.dialer(t).DialStream(t.Context(), r); err == nil || err.Error() != "rule.ads: connection refused" || core.ReasonOf(err) != "refused" {
		t.Errorf("refused: got %v", err)
	}
}

// TestPayloadWait wants the wait of the branch, and where that depends on a lookup the
// longest of those that may be taken.
func TestPayloadWait(t *testing.T) {
	w := newWorld()
	w.names = &coretest.Resolver{}
	w.ads.Wait, w.office.Wait, w.rest.Wait = time.Hour, time.Second, time.Minute
	d := w.dialer(t)
	for to, want := range map[string]time.Duration{"x.ads:1": time.Hour, "10.0.0.1:1": time.Second, "192.0.2.1:1": time.Minute, "www.test:1": time.Minute} {
		if got := d.PayloadWait(&core.Request{Target: coretest.Addr(t, to)}); got != want {
			t.Errorf("%s: got %s, want %s", to, got, want)
		}
	}
	if len(w.names.Asked()) != 0 {
		t.Errorf("got lookups of %q", w.names.Asked())
	}
}

// TestFind has a client's lookup answered by the branch of its target.
func TestFind(t *testing.T) {
	w := newWorld()
	d := w.dialer(t)
	ip := netip.MustParseAddr("10.0.0.9")
	if got, err := core.Find(t.Context(), d, &core.Request{Target: coretest.Addr(t, "git.corp:0"), IPs: []netip.Addr{ip}}); err != nil || !slices.Equal(got.IPs, []netip.Addr{ip}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := core.Find(t.Context(), d, &core.Request{Target: coretest.Addr(t, "x.ads:0")}); !errors.Is(err, core.ErrNoLookups) {
		t.Errorf("got %v, want core.ErrNoLookups", err)
	}
}

// TestConformance runs the contract of a Dialer through a route.
func TestConformance(t *testing.T) {
	coretest.TestDialer(t, func(t testing.TB) core.Dialer {
		w := newWorld()
		w.rest.Stream = dial.Net{}.DialStream
		w.rest.Packets = dial.Net{}.OpenPackets
		w.ads.Packets, w.office.Packets = w.rest.Packets, w.rest.Packets
		return w.dialer(t)
	})
}

// BenchmarkDial dials by a route of n rules that all fail, and without one.
func BenchmarkDial(b *testing.B) {
	next := &instant{}
	for _, n := range []int{0, 1, 1000} {
		d := &dialer{Outbound: &Outbound{}, branches: []core.Dialer{next}}
		for range n {
			d.rules, d.names, d.branches = append(d.rules, below{name: ".ads"}), append(d.names, "rule.ads"), append(d.branches, next)
		}
		d.adopt(nil)
		r := &core.Request{Network: core.TCP, Target: coretest.Addr(b, "www.test:443"), Flow: new(core.Flow)}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Flow.Unchoose(0)
				_, _ = d.DialStream(b.Context(), r)
			}
		})
	}
}

// instant is a Dialer whose dials take no time.
type instant struct{ coretest.Dialer }

func (*instant) DialStream(context.Context, *core.Request) (core.Stream, error) { return nil, nil }

// TestChoicesDepend has a rule depend on addresses that a stage before the route finds.
func TestChoicesDepend(t *testing.T) {
	o := &Outbound{env: coretest.Env(t), names: []string{"rule.office"}, rules: []core.Rule{below{Dialer: coretest.NewDialer(), in: netip.MustParsePrefix("10.0.0.0/8")}}}
	r := &core.Request{Target: coretest.Addr(t, "git.corp:1")}
	for _, tc := range []struct {
		ips        []netip.Addr
		rule, rest core.Verdict
	}{
		{nil, core.VerdictDepends, core.VerdictDepends},
		{[]netip.Addr{netip.MustParseAddr("10.0.0.1")}, core.VerdictYes, core.VerdictNotAsked},
		{[]netip.Addr{netip.MustParseAddr("192.0.2.1")}, core.VerdictNo, core.VerdictYes},
	} {
		r.IPs = tc.ips
		all, err := o.Choices(t.Context(), r, false)
		if err != nil || all[0].Verdict != tc.rule || all[1].Verdict != tc.rest {
			t.Errorf("%v: got %v, %v", tc.ips, all, err)
		}
	}
}
