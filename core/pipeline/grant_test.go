package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// A grant that ends cuts what runs under it, streams and associations alike, and
// what comes after it; nothing else, and nothing that has ended by itself.
func TestGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("removed")
		var kept, ended core.Grant
		dialer := &coretest.Dialer{Stream: func(ctx context.Context, _ *core.Request) (core.Stream, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		p := pipeline.New(pipeline.Config{Log: coretest.Log(t), Dialer: dialer, DialTimeout: time.Minute, IdleTimeout: time.Hour})
		stream := func(g *core.Grant) *core.Flow {
			f := new(core.Flow)
			client, far := coretest.Pipe()
			t.Cleanup(func() { client.Close(); far.Close() })
			go p.HandleStream(t.Context(), &core.Request{Flow: f, Grant: g}, waiting{client}, nil)
			synctest.Wait()
			return f
		}
		runs, other, free, over := stream(&ended), stream(&kept), stream(nil), stream(&ended)
		over.Cut(errors.New("by itself"))
		synctest.Wait()
		if n := ended.Revoke(gone); n != 1 {
			t.Errorf("got %d flows cut, want 1", n)
		}
		late := stream(&ended)
		for name, tc := range map[string]struct {
			flow *core.Flow
			want error
		}{"that runs": {runs, gone}, "under another": {other, nil}, "under none": {free, nil}, "that comes later": {late, gone}} {
			if got := tc.flow.Cause(); got != tc.want {
				t.Errorf("a flow %s: got cause %v, want %v", name, got, tc.want)
			}
		}
		if n := ended.Revoke(gone); n != 0 {
			t.Errorf("again: got %d flows cut, want 0", n)
		}
		p.Drain(t.Context(), expired())
	})
}

// waiting is a client that is never answered.
type waiting struct{ core.Stream }

func (w waiting) Accept() (core.Stream, error) { return w.Stream, nil }
func (w waiting) Reject(error)                 { w.Close() }

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestGrantPackets(t *testing.T) {
	gone := errors.New("removed")
	g, f := new(core.Grant), new(core.Flow)
	near, far := coretest.PacketPipe()
	client, clientFar := coretest.PacketPipe()
	defer far.Conn.Close()
	defer clientFar.Conn.Close()
	dialer := &coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return near.Conn, nil }}
	p := pipeline.New(pipeline.Config{Log: coretest.Log(t), Dialer: dialer, DialTimeout: time.Minute, IdleTimeout: time.Hour})
	p.HandlePackets(t.Context(), &core.Request{Flow: f, Grant: g}, waitingPackets{client.Conn}, nil)
	if p.Live() != 1 || f.Cause() != nil {
		t.Fatalf("got %d live, cause %v, want one association", p.Live(), f.Cause())
	}
	if n := g.Revoke(gone); n != 1 || f.Cause() != gone || p.Live() != 0 {
		t.Errorf("got %d cut, cause %v, %d live, want it cut", n, f.Cause(), p.Live())
	}
}

type waitingPackets struct{ core.PacketConn }

func (w waitingPackets) Accept() (core.PacketConn, error) { return w.PacketConn, nil }
func (w waitingPackets) Reject(error)                     { w.Close() }
