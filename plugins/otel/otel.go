// Package otel is an observer that exports connections as traces, and what they add up to as
// metrics, by OTLP, the protocol of OpenTelemetry.
package otel

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/umbra-proxy/umbra/core"
)

// Register adds the kind.
func Register(reg *core.Registry) { core.Add(&reg.Observer, "otel", New) }

// Observer is the observer.
type Observer struct {
	options Options
	tls     *tls.Config // nil for none
	log     *slog.Logger
	metrics *meters     // nil if none are exported
	ended   chan record // Options.Queue; what finds it full has no trace
	lost    atomic.Int64
}

var (
	_ core.StepObserver = (*Observer)(nil)
	_ core.Runner       = (*Observer)(nil)
)

// New returns the observer. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Observer, error) {
	c, err := o.check()
	if err != nil {
		return nil, err
	}
	made := &Observer{options: o, tls: c, log: env.Log, ended: make(chan record, o.Queue)}
	if o.Metrics {
		if made.metrics, err = newMeters(o.Service, o.resource()); err != nil {
			return nil, err
		}
		core.Keep(env, func(old *meters) *meters { // sums go on over a reload
			if old != nil && old.service == o.Service {
				made.metrics = old
			}
			return made.metrics
		})
	}
	return made, nil
}

// resource says what the figures and traces are of.
func (o Options) resource() *resource.Resource {
	own := resource.NewSchemaless(attribute.String("service.name", o.Service))
	merged, err := resource.Merge(resource.Environment(), own)
	if err != nil { // of different schemas, which own has not
		return own
	}
	return merged
}

// WantsSteps implements core.StepObserver.
func (o *Observer) WantsSteps() bool { return o.options.Traces }

// Observe counts a connection that has ended, and keeps what its trace needs.
func (o *Observer) Observe(e core.Event) {
	if !e.Kind.Ends() {
		return
	}
	result := resultOf(e)
	if o.metrics != nil {
		o.metrics.add(e, result)
	}
	if !o.options.Traces || result == ok && rand.Float64() >= o.options.Sample {
		return
	}
	select {
	case o.ended <- recordOf(e, result):
	default:
		o.lost.Add(1)
	}
}

// Run exports until no connection is left, and then what is left of them.
func (o *Observer) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	if o.metrics != nil {
		running.Go(func() { o.runMetrics(ctx) })
	}
	if o.options.Traces {
		running.Go(func() { o.runTraces(ctx) })
	}
}

// ok is the result of an orderly end, as in umbra_connections_total.
const ok = "ok"

// resultOf returns in one word how a connection has ended.
func resultOf(e core.Event) string {
	switch reason := e.Reason(); {
	case reason != "":
		return reason
	case e.Kind == core.Closed:
		return ok
	}
	return "other"
}
