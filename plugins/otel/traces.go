package otel

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"

	"github.com/umbra-proxy/umbra/core"
)

const (
	batchMost   = 256              // connections of one export
	batchEvery  = time.Second      // the longest time that a connection waits for others
	exportTime  = 10 * time.Second // that one export may take
	giveUp      = time.Minute      // for which a batch is tried again
	lastExports = 5 * time.Second  // that all exports at the end may take
)

// batch is a sdk.SpanProcessor that keeps spans as they end. One goroutine makes and takes
// them.
type batch struct{ spans []sdk.ReadOnlySpan }

// OnStart, OnEnd, Shutdown and ForceFlush implement sdk.SpanProcessor.
func (*batch) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (b *batch) OnEnd(s sdk.ReadOnlySpan)                 { b.spans = append(b.spans, s) }
func (*batch) Shutdown(context.Context) error             { return nil }
func (*batch) ForceFlush(context.Context) error           { return nil }

// traceExporter returns an exporter of traces, which connects when it first exports.
func (o *Observer) traceExporter() (sdk.SpanExporter, error) {
	if o.options.Protocol == "http" {
		with := []otlptracehttp.Option{
			otlptracehttp.WithEndpointURL(o.options.url("/v1/traces")), otlptracehttp.WithHeaders(o.options.headers()), otlptracehttp.WithTimeout(exportTime),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}),
		}
		if o.tls != nil {
			with = append(with, otlptracehttp.WithTLSClientConfig(o.tls))
		}
		return otlptracehttp.New(context.Background(), with...)
	}
	with := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(o.options.Endpoint.String()), otlptracegrpc.WithHeaders(o.options.headers()), otlptracegrpc.WithTimeout(exportTime),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}),
	}
	if o.tls != nil {
		with = append(with, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(o.tls)))
	} else {
		with = append(with, otlptracegrpc.WithInsecure())
	}
	return otlptracegrpc.New(context.Background(), with...)
}

// export exports spans within the time for one export.
func export(ctx context.Context, exporter sdk.SpanExporter, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	return exporter.ExportSpans(ctx, spans)
}

// runTraces exports traces. A batch that could not be exported is tried again for a while:
// the collector may be away, or refuse what is in it. Meanwhile others wait in the queue.
func (o *Observer) runTraces(ctx context.Context) {
	exporter, err := o.traceExporter()
	if err != nil {
		o.log.Error("no traces are exported", slog.Any("err", err))
		return
	}
	made := new(batch)
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(made), sdk.WithResource(o.options.resource()), sdk.WithSampler(sdk.AlwaysSample()))
	tracer := provider.Tracer("github.com/umbra-proxy/umbra/plugins/otel")
	way := &away{log: o.log, signal: "traces", endpoint: o.options.Endpoint.String()}
	var lost core.Alarm
	for more := true; more; {
		var n int
		n, more = o.gather(ctx, func(r record) { o.spans(tracer, &r) })
		for since := time.Now(); n > 0; way.wait(ctx) {
			err := export(ctx, exporter, made.spans)
			if ctx.Err() != nil {
				break // once more below
			}
			if way.say(err); err == nil || time.Since(since) > giveUp {
				made.spans = nil
				if err != nil {
					o.lost.Add(int64(n))
				}
				break
			}
		}
		if missing := o.lost.Swap(0); missing > 0 {
			if _, say := lost.Count(time.Now()); say {
				o.log.Warn("connections without a trace: the collector is too slow or away; queue bounds how many wait", slog.Int64("connections", missing))
			} else {
				o.lost.Add(missing)
			}
		}
	}
	last, cancel := endOf(lastExports)
	defer cancel()
	o.lastTraces(last, exporter, made, func(r record) { o.spans(tracer, &r) })
	_ = exporter.Shutdown(last)
}

// gather waits for a connection that has ended, and then a moment for others. It returns how
// many there were, and false once ctx has ended.
func (o *Observer) gather(ctx context.Context, add func(record)) (n int, more bool) {
	select {
	case <-ctx.Done():
		return 0, false
	case r := <-o.ended:
		add(r)
	}
	enough := time.NewTimer(batchEvery)
	defer enough.Stop()
	for n = 1; n < batchMost; n++ {
		select {
		case <-ctx.Done():
			return n, false
		case <-enough.C:
			return n, true
		case r := <-o.ended:
			add(r)
		}
	}
	return n, true
}

// lastTraces exports what is left at the end.
func (o *Observer) lastTraces(ctx context.Context, exporter sdk.SpanExporter, made *batch, add func(record)) {
	left := len(o.ended)
	for {
		for n := 0; n < batchMost && len(o.ended) > 0; n++ {
			add(<-o.ended)
		}
		if len(made.spans) == 0 {
			break
		}
		if err := exporter.ExportSpans(ctx, made.spans); err != nil {
			o.log.Warn("the last traces are lost", slog.Int("connections", max(1, left)), slog.Any("err", err))
			return
		}
		made.spans, left = nil, len(o.ended)
	}
	if lost := o.lost.Load(); lost > 0 {
		o.log.Warn("connections without a trace", slog.Int64("connections", lost))
	}
}

// away tells of a collector that is away, once, and of its return.
type away struct {
	log              *slog.Logger
	signal, endpoint string
	is               bool
	pause            time.Duration // before the next attempt
}

func (a *away) say(err error) {
	switch {
	case err != nil && !a.is:
		a.log.Error(a.signal+" are not exported, until the collector takes them", slog.String("endpoint", a.endpoint), slog.Any("err", err))
	case err == nil && a.is:
		a.log.Info(a.signal+" are exported again", slog.String("endpoint", a.endpoint))
	}
	if a.is = err != nil; !a.is {
		a.pause = 0
	}
}

// wait waits before another attempt: from a quarter of a second to half a minute.
func (a *away) wait(ctx context.Context) {
	a.pause = min(max(2*a.pause, time.Second/4), 30*time.Second)
	select {
	case <-ctx.Done():
	case <-time.After(a.pause):
	}
}
