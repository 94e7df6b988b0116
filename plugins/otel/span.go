package otel

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/umbra-proxy/umbra/core"
)

// spans makes the spans of a connection: one of the whole, and within it those of its
// handshake, of each step of its request, and of its relay.
func (o *Observer) spans(tracer trace.Tracer, r *record) {
	from, to := r.span()
	ctx, whole := tracer.Start(context.Background(), "pipeline "+r.pipeline, trace.WithTimestamp(from), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithNewRoot(), trace.WithAttributes(o.attributes(r)...))
	defer whole.End(trace.WithTimestamp(to))
	if r.result != ok {
		whole.SetStatus(codes.Error, o.text(r.err, r))
	}
	s := r.stages
	if begin := s.Admitted; !begin.IsZero() && (!s.Requested.IsZero() || r.kind == core.HandshakeFailed) {
		end := s.Requested
		if end.IsZero() {
			end = to
		}
		_, handshake := tracer.Start(ctx, "handshake", trace.WithTimestamp(begin))
		if r.kind == core.HandshakeFailed {
			handshake.SetStatus(codes.Error, o.text(r.err, r))
		}
		handshake.End(trace.WithTimestamp(end))
	}
	for _, step := range r.steps {
		o.step(ctx, tracer, step, r)
	}
	if !s.Reached.IsZero() {
		_, relay := tracer.Start(ctx, "relay", trace.WithTimestamp(s.Reached))
		if !s.Answered.IsZero() {
			relay.AddEvent("first bytes", trace.WithTimestamp(s.Answered))
		}
		relay.End(trace.WithTimestamp(to))
	}
}

// step makes the span of a step: a dial is a client's.
func (o *Observer) step(ctx context.Context, tracer trace.Tracer, step core.Step, r *record) {
	kind := trace.SpanKindInternal
	if step.Kind == core.StepDial {
		kind = trace.SpanKindClient
	}
	attributes := []attribute.KeyValue{attribute.String("umbra.component", valid(step.Name))}
	if step.Detail != "" {
		attributes = append(attributes, attribute.String("umbra.detail", valid(step.Detail)))
	}
	_, span := tracer.Start(ctx, string(step.Kind)+" "+valid(step.Name), trace.WithTimestamp(step.Began), trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	if step.Err != nil {
		span.SetAttributes(attribute.String("error.type", core.ReasonOf(step.Err)))
		span.SetStatus(codes.Error, o.text(step.Err, r))
	}
	span.End(trace.WithTimestamp(step.Began.Add(max(0, step.Took))))
}

// attributes are those of the whole connection, by the names of OpenTelemetry where it has
// some.
func (o *Observer) attributes(r *record) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("umbra.pipeline", r.pipeline), attribute.String("umbra.inbound", r.client.Inbound),
		attribute.String("umbra.event", r.kind.String()), attribute.String("umbra.result", r.result),
		attribute.String("network.transport", string(r.client.Network)),
	}
	if client := o.options.Clients.Show(r.client.Addr); client != "" {
		all = append(all, attribute.String("client.address", client))
	}
	if r.result != ok {
		all = append(all, attribute.String("error.type", r.result))
	}
	if r.id == 0 {
		return all
	}
	all = append(all, attribute.Int64("umbra.id", int64(r.id)), attribute.Int64("umbra.up", r.up), attribute.Int64("umbra.down", r.down), attribute.StringSlice("umbra.path", r.path))
	if r.user != "" {
		all = append(all, attribute.String("user.name", valid(r.user)))
	}
	if r.target.IsValid() { // an association has many
		all = append(all, attribute.String("server.address", r.target.Host()), attribute.Int("server.port", int(r.target.Port())))
	}
	return all
}

// text returns the text of an error as far as it may be exported.
func (o *Observer) text(err error, r *record) string {
	if err == nil {
		return r.result
	}
	return valid(o.options.Clients.Hide(err.Error(), r.client.Addr))
}

// valid returns s as the UTF-8 that the protocol takes: one string that isn't would have a
// whole export refused.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// endOf is a context for what is exported at the end.
func endOf(patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}
