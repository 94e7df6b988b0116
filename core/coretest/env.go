package coretest

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// Env returns a core.Env for a constructor: the name "test", a log that writes to t, a
// fresh Process and an empty Graph. A test may change the fields.
func Env(t testing.TB) core.Env {
	t.Helper()
	return core.Env{Name: "test", Log: Log(t), Graph: Graph{}, Process: new(core.Process)}
}

// Log returns a log that writes to t, until t ends.
func Log(t testing.TB) *slog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// testWriter writes lines to a test's log. It drops lines after the test's end, on which
// package testing would panic.
type testWriter struct {
	mu sync.Mutex
	t  testing.TB // nil after the end; guarded by mu
}

func (w *testWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("%s", line)
	}
	return len(line), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}

// Graph is a core.Graph of ready components, by reference:
//
//	coretest.Graph{core.Ref[core.Cipher]("house"): c}
type Graph map[core.Reference]any

var _ core.Digester = Graph{}

// Digest returns the address of the component, so that another one has another digest.
func (g Graph) Digest(r core.Reference) string {
	c, ok := g[r]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%T %p", c, c)
}

// Component returns the component of the reference r.
func (g Graph) Component(r core.Reference) (any, error) {
	c, ok := g[r]
	if !ok {
		return nil, fmt.Errorf("unknown %s %q", r.RefSection(), r.RefName())
	}
	return c, nil
}

// FreeAddr returns a loopback address whose port was free for TCP and UDP a moment ago,
// for an inbound that can't listen on port 0.
func FreeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 100 {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		ap := l.Addr().(*net.TCPAddr).AddrPort()
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(ap))
		l.Close()
		if err == nil {
			u.Close()
			return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return netip.AddrPort{}
}
