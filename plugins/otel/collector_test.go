package otel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// collector is a collector by the protocol's own servers.
type collector struct {
	collecttraces.UnimplementedTraceServiceServer

	mu      sync.Mutex
	spans   []*tracepb.Span // guarded by mu, as is the rest
	sums    map[string]int64
	headers []string // of authorization
	refuses bool
}

// metricsService is the other service of a collector.
type metricsService struct {
	collectmetrics.UnimplementedMetricsServiceServer
	*collector
}

func (c *collector) Export(ctx context.Context, r *collecttraces.ExportTraceServiceRequest) (*collecttraces.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return new(collecttraces.ExportTraceServiceResponse), c.addTraces(r, strings.Join(md.Get("authorization"), ","))
}

func (m metricsService) Export(_ context.Context, r *collectmetrics.ExportMetricsServiceRequest) (*collectmetrics.ExportMetricsServiceResponse, error) {
	return new(collectmetrics.ExportMetricsServiceResponse), m.addMetrics(r)
}

func (c *collector) addTraces(r *collecttraces.ExportTraceServiceRequest, authorization string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses {
		return errors.New("no room")
	}
	c.headers = append(c.headers, authorization)
	for _, resource := range r.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return nil
}

func (c *collector) addMetrics(r *collectmetrics.ExportMetricsServiceRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses {
		return errors.New("no room")
	}
	c.sums = map[string]int64{}
	for _, resource := range r.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				switch data := m.Data.(type) {
				case *metricspb.Metric_Sum:
					for _, p := range data.Sum.DataPoints {
						c.sums[m.Name+" "+texts(p.Attributes)] += p.GetAsInt()
					}
				case *metricspb.Metric_Histogram:
					for _, p := range data.Histogram.DataPoints {
						c.sums[m.Name+" "+texts(p.Attributes)] += int64(p.Count)
					}
				}
			}
		}
	}
	return nil
}

// texts returns attributes as text, in the order of their names.
func texts(all []*common.KeyValue) string {
	var words []string
	for _, a := range all {
		words = append(words, a.Key+"="+textOf(a.Value))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func textOf(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_ArrayValue:
		var all []string
		for _, e := range v.ArrayValue.Values {
			all = append(all, textOf(e))
		}
		return strings.Join(all, ",")
	}
	return fmt.Sprint(v)
}

func (c *collector) set(refuses bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = refuses
}

func (c *collector) got() (spans []*tracepb.Span, sums map[string]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans), c.sums
}

// whole returns the spans of whole connections.
func (c *collector) whole() (roots []*tracepb.Span) {
	spans, _ := c.got()
	for _, s := range spans {
		if len(s.ParentSpanId) == 0 {
			roots = append(roots, s)
		}
	}
	return roots
}

// serveGRPC serves the collector by gRPC.
func (c *collector) serveGRPC(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collecttraces.RegisterTraceServiceServer(s, c)
	collectmetrics.RegisterMetricsServiceServer(s, metricsService{collector: c})
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() { s.Stop(); running.Wait() })
	return ln.Addr().String()
}

// ServeHTTP serves the collector by HTTP.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Type") != "application/x-protobuf" {
		err = errors.New("no protobuf")
	}
	var answer proto.Message
	switch r.URL.Path {
	case "/v1/traces":
		q := new(collecttraces.ExportTraceServiceRequest)
		answer = new(collecttraces.ExportTraceServiceResponse)
		err = errors.Join(err, proto.Unmarshal(body, q), c.addTraces(q, r.Header.Get("Authorization")))
	case "/v1/metrics":
		q := new(collectmetrics.ExportMetricsServiceRequest)
		answer = new(collectmetrics.ExportMetricsServiceResponse)
		err = errors.Join(err, proto.Unmarshal(body, q), c.addMetrics(q))
	default:
		err = errors.New("no such path")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	b, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b)
}

func (c *collector) serveHTTP(t testing.TB) string {
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
