package inbound_test

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/inbound"
)

// Shutdown stops accepting at once and waits for the handshakes in progress.
func TestServerShutdownWaits(t *testing.T) {
	s := startServer(t, nil)
	c := s.dial(t, "o")
	coretest.Eventually(t, "the handshake", func() bool { return s.begun.Load() == 1 })
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	coretest.Refusing(t, s.Listening()[0])
	select {
	case err := <-done:
		t.Errorf("shutdown during a handshake: got %v, want it to wait", err)
	default:
	}
	coretest.Write(t, c, []byte("k\n"))
	s.exchange(t, c)
	if err := coretest.Await(t, "the shutdown", done); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// When the context ends, handshakes are dropped, also those of a kind that would
// read on.
func TestServerShutdownDrops(t *testing.T) {
	var process *core.Process
	s := startServer(t, func(_ *testServer, cfg *inbound.ServerConfig) { cfg.Fail, process = readOn, cfg.Env.Process })
	inHandshake, inFail := s.dial(t, "wr"), s.dial(t, "wrong\n")
	s.h.WaitEnds(t, 1)
	coretest.Eventually(t, "both handshakes", func() bool { return s.begun.Load() == 2 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	at := s.Listening()[0]
	coretest.Eventually(t, "the end of listening", func() bool { return !netio.SocketsOf(process).Has(core.TCP, at) })
	cancel()
	if err := coretest.Await(t, "the shutdown", done); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	for _, c := range []*net.TCPConn{inHandshake, inFail} {
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: got %v, want io.EOF", err)
		}
	}
	failedOnce(t, s, 2)
	s.h.Check(t)
}

// A request that the pipeline has is no handshake any more, although its dial
// has not ended.
func TestServerShutdownLeavesDials(t *testing.T) {
	dialling := make(chan struct{}, 1)
	pipeline := pipeline.New(pipeline.Config{
		Name: "test", Log: coretest.Log(t), DialTimeout: coretest.Patience, IdleTimeout: coretest.Patience,
		Dialer: &coretest.Dialer{Stream: func(ctx context.Context, _ *core.Request) (core.Stream, error) {
			dialling <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}},
	})
	s := startServer(t, func(s *testServer, _ *inbound.ServerConfig) { s.handler = pipeline })
	s.dial(t, "ok\n")
	coretest.Await(t, "the dial", dialling)
	if err := s.Shutdown(t.Context()); err != nil || pipeline.Live() != 1 {
		t.Errorf("shutdown: got %v and %d live, want nil and 1", err, pipeline.Live())
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if n := pipeline.Drain(ended, ended); n != 1 {
		t.Errorf("drain: cut %d, want 1", n)
	}
}
