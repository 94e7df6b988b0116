package otel

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	api "go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc/credentials"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// meters are what connections are counted in.
type meters struct {
	service           string // whose they are
	reader            *sdk.ManualReader
	connections       api.Int64Counter
	bytes             api.Int64Counter
	duration          api.Float64Histogram
	reached, answered api.Float64Histogram
}

// newMeters returns meters that nothing was counted in.
func newMeters(service string, of *resource.Resource) (*meters, error) {
	m := &meters{service: service, reader: sdk.NewManualReader()}
	meter := sdk.NewMeterProvider(sdk.WithReader(m.reader), sdk.WithResource(of)).Meter("github.com/umbra-proxy/umbra/plugins/otel")
	var errs [5]error
	short, long := api.WithExplicitBucketBoundaries(metrics.Short()...), api.WithExplicitBucketBoundaries(metrics.Long()...)
	m.connections, errs[0] = meter.Int64Counter("umbra.connections", api.WithUnit("{connection}"), api.WithDescription("connections that have ended"))
	m.bytes, errs[1] = meter.Int64Counter("umbra.bytes", api.WithUnit("By"), api.WithDescription("payload of connections that have ended"))
	m.duration, errs[2] = meter.Float64Histogram("umbra.connection.duration", api.WithUnit("s"), api.WithDescription("from the accept to the end"), long)
	m.reached, errs[3] = meter.Float64Histogram("umbra.reach.duration", api.WithUnit("s"), api.WithDescription("from the request until the target or the last hop was reached"), short)
	m.answered, errs[4] = meter.Float64Histogram("umbra.first_byte.duration", api.WithUnit("s"), api.WithDescription("from the request until the first bytes came back"), short)
	return m, errors.Join(errs[:]...)
}

// add counts a connection that has ended. No attribute has what a client chose.
func (m *meters) add(e core.Event, result string) {
	ctx := context.Background()
	of := []attribute.KeyValue{attribute.String("umbra.pipeline", e.Pipeline), attribute.String("network.transport", string(e.Client.Network))}
	all := api.WithAttributeSet(attribute.NewSet(append(of, attribute.String("umbra.result", result))...))
	m.connections.Add(ctx, 1, all)
	from, to := e.Stages.Accepted, e.Stages.Ended
	if !from.IsZero() && !to.Before(from) {
		m.duration.Record(ctx, to.Sub(from).Seconds(), all)
	}
	if e.Request == nil {
		return
	}
	for direction, n := range map[string]int64{"up": e.Request.Flow.Up.Load(), "down": e.Request.Flow.Down.Load()} {
		if n > 0 {
			m.bytes.Add(ctx, n, api.WithAttributes(of...), api.WithAttributes(attribute.String("umbra.direction", direction)))
		}
	}
	since := func(to time.Time, in api.Float64Histogram) {
		if from := e.Stages.Requested; !from.IsZero() && !to.Before(from) {
			in.Record(ctx, to.Sub(from).Seconds(), api.WithAttributes(of...))
		}
	}
	since(e.Stages.Reached, m.reached)
	since(e.Stages.Answered, m.answered)
}

// metricExporter returns an exporter of metrics, which connects when it first exports.
func (o *Observer) metricExporter() (sdk.Exporter, error) {
	if o.options.Protocol == "http" {
		with := []otlpmetrichttp.Option{
			otlpmetrichttp.WithEndpointURL(o.options.url("/v1/metrics")), otlpmetrichttp.WithHeaders(o.options.headers()), otlpmetrichttp.WithTimeout(exportTime),
			otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}),
		}
		if o.tls != nil {
			with = append(with, otlpmetrichttp.WithTLSClientConfig(o.tls))
		}
		return otlpmetrichttp.New(context.Background(), with...)
	}
	with := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(o.options.Endpoint.String()), otlpmetricgrpc.WithHeaders(o.options.headers()), otlpmetricgrpc.WithTimeout(exportTime),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}),
	}
	if o.tls != nil {
		with = append(with, otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(o.tls)))
	} else {
		with = append(with, otlpmetricgrpc.WithInsecure())
	}
	return otlpmetricgrpc.New(context.Background(), with...)
}

// runMetrics exports metrics. They are sums since the start, so one export that failed loses
// nothing.
func (o *Observer) runMetrics(ctx context.Context) {
	exporter, err := o.metricExporter()
	if err != nil {
		o.log.Error("no metrics are exported", slog.Any("err", err))
		return
	}
	way := &away{log: o.log, signal: "metrics", endpoint: o.options.Endpoint.String()}
	tick := time.NewTicker(o.options.Interval.Std())
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if err := o.exportMetrics(ctx, exporter); ctx.Err() == nil {
				way.say(err)
			}
		}
	}
	last, cancel := endOf(lastExports)
	defer cancel()
	way.say(o.exportMetrics(last, exporter))
	_ = exporter.Shutdown(last)
}

// exportMetrics exports the metrics of now.
func (o *Observer) exportMetrics(ctx context.Context, exporter sdk.Exporter) error {
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	var now metricdata.ResourceMetrics
	if err := o.metrics.reader.Collect(ctx, &now); err != nil {
		return err
	}
	return exporter.Export(ctx, &now)
}
