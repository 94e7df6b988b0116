package otel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options returns the options of a table.
func options(t testing.TB, protocol, endpoint string) Options {
	t.Helper()
	o := Options{
		Protocol: protocol, Insecure: true, Traces: true, Metrics: true, Sample: 1, Interval: option.Duration(time.Second), Clients: option.ClientsCut,
		Service: "umbra", Queue: 64, Headers: map[string]option.Text{"authorization": "Bearer sesame"},
	}
	if err := o.Endpoint.UnmarshalText([]byte(endpoint)); err != nil {
		t.Fatal(err)
	}
	return o
}

// start returns a running observer.
func start(t testing.TB, env core.Env, o Options) (made *Observer, stop func()) {
	t.Helper()
	built, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { built.(*Observer).Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return built.(*Observer), stop
}

// end is the end of a connection that was served, or not reached.
func end(t testing.TB, err error) core.Event {
	t.Helper()
	target, _ := core.ParseAddr("www.example.org:443")
	at := time.Now().Add(-time.Second)
	f := new(core.Flow)
	f.Record()
	f.Step(core.Step{Kind: core.StepResolve, Name: "resolver.dns", Detail: "192.0.2.9", Began: at.Add(2 * time.Millisecond), Took: time.Millisecond})
	f.Step(core.Step{Kind: core.StepDial, Name: "outbound.paris", Began: at.Add(3 * time.Millisecond), Took: time.Millisecond, Err: err})
	f.Up.Store(7)
	f.Down.Store(9)
	e := core.Event{
		Kind: core.Closed, Pipeline: "server", Path: []string{"outbound.paris"}, Err: err,
		Client:  core.Client{Addr: netip.MustParseAddrPort("192.0.2.77:4711"), Network: core.TCP, Inbound: "ss"},
		Request: &core.Request{ID: 12, Network: core.TCP, User: "al\xffice", Target: target, Flow: f},
		Stages:  core.Stages{Accepted: at, Admitted: at, Requested: at.Add(2 * time.Millisecond), Reached: at.Add(5 * time.Millisecond), Answered: at.Add(6 * time.Millisecond), Ended: at.Add(time.Second)},
	}
	if err != nil {
		e.Kind = core.DialFailed
		e.Stages.Reached, e.Stages.Answered = time.Time{}, time.Time{}
	}
	return e
}

// TestExports has a collector of each protocol get the traces and metrics of two connections
// and a stranger.
func TestExports(t *testing.T) {
	for protocol, serve := range map[string]func(*collector, testing.TB) string{"grpc": (*collector).serveGRPC, "http": (*collector).serveHTTP} {
		t.Run(protocol, func(t *testing.T) {
			c := new(collector)
			o, stop := start(t, coretest.Env(t), options(t, protocol, serve(c, t)))
			if !o.WantsSteps() {
				t.Error("wants no steps")
			}
			o.Observe(end(t, nil))
			o.Observe(end(t, fmt.Errorf("to 192.0.2.77:4711: %w", core.ErrDenied)))
			now := time.Now()
			o.Observe(core.Event{Kind: core.HandshakeFailed, Pipeline: "server", Err: core.ErrAuth, Client: core.Client{Network: core.TCP, Inbound: "ss"},
				Stages: core.Stages{Accepted: now, Admitted: now, Ended: now.Add(time.Second)}})
			stop()
			checkSpans(t, c)
			_, sums := c.got()
			for name, want := range map[string]int64{
				"umbra.connections network.transport=tcp umbra.pipeline=server umbra.result=ok":         1,
				"umbra.connections network.transport=tcp umbra.pipeline=server umbra.result=denied":     1,
				"umbra.connections network.transport=tcp umbra.pipeline=server umbra.result=auth":       1,
				"umbra.bytes network.transport=tcp umbra.direction=up umbra.pipeline=server":            14,
				"umbra.bytes network.transport=tcp umbra.direction=down umbra.pipeline=server":          18,
				"umbra.connection.duration network.transport=tcp umbra.pipeline=server umbra.result=ok": 1,
				"umbra.reach.duration network.transport=tcp umbra.pipeline=server":                      1,
				"umbra.first_byte.duration network.transport=tcp umbra.pipeline=server":                 1,
			} {
				if sums[name] != want {
					t.Errorf("%s: got %d of %v, want %d", name, sums[name], sums, want)
				}
			}
		})
	}
}

// checkSpans checks the spans of TestExports.
func checkSpans(t *testing.T, c *collector) {
	t.Helper()
	spans, _ := c.got()
	if slices.Contains(c.headers, "") || len(c.headers) == 0 || c.headers[0] != "Bearer sesame" {
		t.Errorf("got the headers %q", c.headers)
	}
	of := map[string][]string{} // names of the spans of a trace
	for _, s := range spans {
		of[string(s.TraceId)] = append(of[string(s.TraceId)], s.Name)
		if s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s ends before it begins", s.Name)
		}
		if strings.Contains(s.String(), "192.0.2.77") {
			t.Errorf("got the client's address in %s", s)
		}
	}
	var traces []string
	for _, names := range of {
		slices.Sort(names)
		traces = append(traces, strings.Join(names, ", "))
	}
	slices.Sort(traces)
	want := []string{
		"dial outbound.paris, handshake, pipeline server, relay, resolve resolver.dns",
		"dial outbound.paris, handshake, pipeline server, resolve resolver.dns",
		"handshake, pipeline server",
	}
	if !slices.Equal(traces, want) {
		t.Errorf("got the traces\n%s\nwant\n%s", strings.Join(traces, "\n"), strings.Join(want, "\n"))
	}
	roots := c.whole()
	if len(roots) != 3 {
		t.Fatalf("got %d connections, want 3", len(roots))
	}
	got := texts(roots[0].Attributes)
	if want := "client.address=192.0.2.0/24 network.transport=tcp server.address=www.example.org server.port=443 umbra.down=9 umbra.event=closed umbra.id=12 " +
		"umbra.inbound=ss umbra.path=outbound.paris umbra.pipeline=server umbra.result=ok umbra.up=7 user.name=al\ufffdice"; got != want {
		t.Errorf("attributes: got\n%s\nwant\n%s", got, want)
	}
	if took := roots[0].EndTimeUnixNano - roots[0].StartTimeUnixNano; took != uint64(time.Second) {
		t.Errorf("the connection took %s, want 1s", time.Duration(took))
	}
	if s := roots[1].Status; s.Code != tracepb.Status_STATUS_CODE_ERROR || s.Message != "to 192.0.2.0/24: "+core.ErrDenied.Error() {
		t.Errorf("a failure: got %v", s)
	}
}

// A collector that is away is told of once, and so is its return. What it missed fits the
// queue or is counted, and metrics are whole.
func TestAway(t *testing.T) {
	const many = 1000
	for protocol, serve := range map[string]func(*collector, testing.TB) string{"grpc": (*collector).serveGRPC, "http": (*collector).serveHTTP} {
		t.Run(protocol, func(t *testing.T) {
			var log coretest.Lines
			env := coretest.Env(t)
			env.Log = slog.New(slog.NewTextHandler(&log, nil))
			c := &collector{refuses: true}
			o, stop := start(t, env, options(t, protocol, serve(c, t)))
			o.Observe(end(t, nil))
			coretest.Eventually(t, "a line about traces", func() bool { return len(log.With("traces are not exported")) > 0 })
			coretest.Eventually(t, "a line about metrics", func() bool { return len(log.With("metrics are not exported")) > 0 })
			for range many {
				o.Observe(end(t, nil))
			}
			c.set(false)
			coretest.Eventually(t, "its return", func() bool {
				return len(log.With("traces are exported again")) > 0 && len(log.With("metrics are exported again")) > 0
			})
			stop()
			for _, signal := range []string{"traces", "metrics"} {
				if all := log.With(signal + " are not exported"); len(all) != 1 {
					t.Errorf("%s: got %q, want one line", signal, all)
				}
			}
			if n := len(c.whole()); n == 0 || n > 64+batchMost || len(log.With("without a trace")) == 0 {
				t.Errorf("got %d traces and %q, want those of the queue and the number of the others", n, log.With("trace"))
			}
			if _, sums := c.got(); sums["umbra.connections network.transport=tcp umbra.pipeline=server umbra.result=ok"] != many+1 {
				t.Errorf("got %v, want all %d connections", sums, many+1)
			}
		})
	}
}

// With a sample of nothing, failures alone have a trace.
func TestSample(t *testing.T) {
	c := new(collector)
	o := options(t, "http", c.serveHTTP(t))
	o.Sample = 0
	made, stop := start(t, coretest.Env(t), o)
	for range 50 {
		made.Observe(end(t, nil))
	}
	made.Observe(end(t, core.ErrDenied))
	stop()
	if roots := c.whole(); len(roots) != 1 || roots[0].Status.Code != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("got %v, want the failure", roots)
	}
}

// Sums go on over a reload.
func TestReload(t *testing.T) {
	c, env := new(collector), coretest.Env(t)
	o := options(t, "grpc", c.serveGRPC(t))
	before, stopBefore := start(t, env, o)
	before.Observe(end(t, nil))
	after, stopAfter := start(t, env, o)
	after.Observe(end(t, nil))
	stopBefore()
	stopAfter()
	if _, sums := c.got(); sums["umbra.connections network.transport=tcp umbra.pipeline=server umbra.result=ok"] != 2 {
		t.Errorf("got %v, want both connections", sums)
	}
	if n := len(c.whole()); n != 2 {
		t.Errorf("got %d traces, want 2", n)
	}
}

// An observer whose collector is not there passes the kit of observers all the same.
func TestConformance(t *testing.T) {
	nobody := coretest.FreeAddr(t).String()
	coretest.TestObserver(t, func(t testing.TB) core.Observer {
		o, _ := start(t, coretest.Env(t), options(t, "grpc", nobody))
		return o
	})
}

func TestKind(t *testing.T) {
	reg := new(core.Registry)
	Register(reg)
	if err := errors.Join(config.CheckKinds(reg), config.CheckDescriptions(reg)); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct {
		name string
		edit func(*Options)
		want string
	}{
		{"nothing", func(o *Options) { o.Traces, o.Metrics = false, false }, "nothing is exported"},
		{"a header of two lines", func(o *Options) { o.Headers["x"] = "a\nb" }, "line end"},
		{"a bad header", func(o *Options) { o.Headers["x y"] = "a" }, "no name of a header line"},
		{"no TLS with a certificate", func(o *Options) { o.CAFile = "ca.pem" }, "leave out one"},
		{"no certificate", func(o *Options) { o.Insecure, o.CAFile = false, "none.pem" }, "none.pem"},
		{"a sample of 2", func(o *Options) { o.Sample = 2 }, "1"},
	} {
		o := options(t, "grpc", "127.0.0.1:4317")
		tc.edit(&o)
		if _, err := New(coretest.Env(t), o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}
