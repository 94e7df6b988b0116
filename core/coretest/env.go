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

// Env returns what a constructor needs: the name "test", a log that goes to t, a
// fresh Process and an empty Graph. Fields may be changed.
func Env(t testing.TB) core.Env {
	t.Helper()
	return core.Env{Name: "test", Log: Log(t), Graph: Graph{}, Process: new(core.Process)}
}

// Log returns a log that goes to t, until t ends.
func Log(t testing.TB) *slog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// testWriter writes lines to a test's log. A line after the test's end is
// dropped: package testing panics on it.
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

// Graph is a core.Graph of ready components, by what names them:
//
//	coretest.Graph{core.Ref[core.Cipher]("house"): c}
type Graph map[core.Reference]any

var _ core.Graph = Graph{}

// Component returns the component that r names.
func (g Graph) Component(r core.Reference) (any, error) {
	c, ok := g[r]
	if !ok {
		return nil, fmt.Errorf("unknown %s %q", r.RefSection(), r.RefName())
	}
	return c, nil
}

// FreeAddr returns a loopback address on which nothing listened a moment ago, by
// TCP or UDP, for an inbound that can't be given port 0.
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
