package tally

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// figures returns those of t as text: the name, the labels, and the value or the count.
func figures(m core.Measurer) map[string]float64 {
	all := map[string]float64{}
	m.Measure(func(f core.Figure) {
		v := f.Value
		if f.Metric.Kind == core.Histogram {
			v = float64(f.Counts.Count)
		}
		all[f.Metric.Name+" "+strings.Join(f.Labels, " ")] = v
	})
	return all
}

func ended(kind core.EventKind, network core.Network, err error) core.Event {
	begin := time.Unix(1000, 0)
	f := new(core.Flow)
	f.Up.Store(10)
	f.Down.Store(20)
	return core.Event{
		Kind: kind, Pipeline: "p", Client: core.Client{Network: network, Inbound: "in"}, Path: []string{"outbound.a", "outbound.b"}, Err: err,
		Request: &core.Request{Network: network, Flow: f},
		Stages:  core.Stages{Accepted: begin, Requested: begin.Add(time.Second), Answered: begin.Add(2 * time.Second), Ended: begin.Add(time.Minute)},
	}
}

// Each connection is counted once, by how it ended.
func TestConnections(t *testing.T) {
	tally := new(Tally)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			tally.Observe(core.Event{Kind: core.Connected, Client: core.Client{Network: core.TCP, Inbound: "in"}})
			tally.Observe(core.Event{Kind: core.Opened, Pipeline: "p", Client: core.Client{Inbound: "in"}, Request: &core.Request{Flow: new(core.Flow)}})
			tally.Observe(ended(core.Closed, core.TCP, nil))
			tally.Observe(ended(core.DialFailed, core.TCP, core.ErrAuth))
			tally.Observe(ended(core.Closed, core.UDP, core.ErrIdle))
			tally.Observe(core.Event{Kind: core.HandshakeFailed, Client: core.Client{Inbound: "in"}, Err: core.ErrMalformed, Received: 50})
			tally.Observe(core.Event{Kind: core.Refused, Pipeline: "p", Client: core.Client{Inbound: "in"}, Err: core.ErrDenied}) // by a gate
			tally.ObserveDrops(core.Drops{Pipeline: "p", Dropped: []core.Dropped{{Reason: core.DropName, Count: 3}}})
		})
	}
	all.Wait()
	got := figures(tally)
	for name, want := range map[string]float64{
		"umbra_inbound_accepted_total in tcp":                 10,
		"umbra_inbound_accepted_total in udp":                 0,
		"umbra_inbound_handshake_failures_total in malformed": 10,
		"umbra_inbound_probe_bytes in malformed":              10,
		"umbra_inbound_handshake_seconds in":                  30,
		"umbra_connections_total p tcp ok":                    10,
		"umbra_connections_total p tcp auth":                  10,
		"umbra_connections_total p udp idle":                  10,
		"umbra_connection_seconds p":                          20,
		"umbra_first_byte_seconds p":                          30,
		"umbra_datagrams_dropped_total p name":                30,
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if r := tally.Results("p"); r["ok"] != 10 || r["idle"] != 10 || tally.Accepted("in") != 10 || tally.Failures("in")["malformed"] != 10 {
		t.Errorf("got %v, %d accepted, %v", r, tally.Accepted("in"), tally.Failures("in"))
	}
}

// A client that leaves, or that may not go where it wants, is no failure of the outbound.
func TestDials(t *testing.T) {
	tally := new(Tally)
	o := tally.Outbound("outbound.a")
	began := time.Now()
	for _, err := range []error{nil, context.Canceled, core.ErrDenied, core.ErrShutdown} {
		o.Dialled(began, err)
	}
	if f := o.LastFailure(); !f.At.IsZero() || f.Since {
		t.Errorf("no failure: got %+v", f)
	}
	o.Dialled(began, core.AtTarget(errors.New("nothing listens")))
	if f := o.LastFailure(); !f.AtTarget || !f.Since || f.Err != "nothing listens" {
		t.Errorf("a failure of the target: got %+v", f)
	}
	o.Dialled(began, fmt.Errorf("%w: wrong password", core.ErrAuth))
	if f := o.LastFailure(); f.AtTarget || !f.Since {
		t.Errorf("a failure of the server: got %+v", f)
	}
	for o.LastFailure().Since { // the clock may be coarse
		o.Dialled(began, nil)
	}
	if f := o.LastFailure(); f.At.IsZero() {
		t.Error("after a dial that worked, the last failure is forgotten")
	}
	got := figures(tally)
	for name, want := range map[string]float64{
		"umbra_dials_total a gone": 1, "umbra_dials_total a denied": 1, "umbra_dials_total a auth": 1, "umbra_dials_total a other": 1,
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if n := got["umbra_dial_seconds a"]; n < 2 || n != got["umbra_dials_total a ok"] {
		t.Errorf("times of dials: got %v, want those that worked", n)
	}
}

// Figures have as many labels as their metric, which is in the list.
func TestLabels(t *testing.T) {
	tally := new(Tally)
	tally.Observe(ended(core.Closed, core.TCP, nil))
	tally.Outbound("outbound.a").Dialled(time.Now(), nil)
	listed := map[*core.Metric]bool{}
	for _, m := range metrics.All() {
		listed[m] = true
	}
	tally.Measure(func(f core.Figure) {
		if !listed[f.Metric] || len(f.Labels) != len(f.Metric.Labels) {
			t.Errorf("%s: labels %q of %q", f.Metric.Name, f.Labels, f.Metric.Labels)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	tally := new(Tally)
	e := ended(core.Closed, core.TCP, nil)
	b.ReportAllocs()
	for b.Loop() {
		tally.Observe(e)
	}
}
