package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
	"github.com/umbra-proxy/umbra/inbound/socks"
	"github.com/umbra-proxy/umbra/test/peer"
)

// balancerAddr is the source address of haproxy's connections.
const balancerAddr = "127.0.9.1"

// sendProxy are the settings with which haproxy sends headers.
var sendProxy = []struct{ name, options string }{
	{"v1", "send-proxy check-send-proxy"},
	{"v2", "send-proxy-v2 check-send-proxy"},
	{"v2 with checksum", "send-proxy-v2 proxy-v2-options crc32c,unique-id check-send-proxy"},
}

// balancer runs haproxy in front of a port and returns the port of haproxy. It checks the health of
// the server constantly, and listens once the checks run.
func balancer(t testing.TB, server int, options string) int {
	t.Helper()
	port := peer.FreePort(t)
	peer.HAProxy(t, fmt.Sprintf(`
frontend front
  bind %s
  unique-id-format %%ci:%%cp
  default_backend umbra
backend umbra
  source %s
  server umbra %s %s check inter 200ms
`, peer.Addr(port), balancerAddr, peer.Addr(server), options))
	return port
}

// dialFrom connects from an address to a port.
func dialFrom(t testing.TB, from string, port int) *net.TCPConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(soon()); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// behindFile is a SOCKS5 side behind haproxy.
func behindFile(port int) string {
	return "[log]\nlevel = \"debug\"\n" + with(directFile(port), "[inbound.socks5]", fmt.Sprintf("mode = \"tcp\"\nproxy_protocol = { trusted = [%q] }", balancerAddr))
}

// TestBehindHAProxy runs haproxy in front of umbra: the log contains the true clients in every case,
// and lines about the balancer and its checks only at level debug.
func TestBehindHAProxy(t *testing.T) {
	target := newGreeter(t, "hello")
	for _, tc := range sendProxy {
		t.Run(tc.name, func(t *testing.T) {
			server := peer.FreePort(t)
			umbra := run(t, behindFile(server))
			umbra.WaitOutput(t, "umbra started")
			front := balancer(t, server, tc.options)
			umbra.Until(t, "see three health checks", func() bool {
				return strings.Count(umbra.Output(), "client="+balancerAddr) >= 3
			})

			c := dialFrom(t, "127.3.7.1", front)
			if err := connect(c, target.addr); err != nil {
				t.Fatal(err)
			}
			expect(t, c, "hello\n")
			echo(t, c, "through the balancer\n")
			c.Close()
			umbra.WaitOutput(t, fmt.Sprintf("client=%s ", c.LocalAddr()))
			for line := range strings.Lines(umbra.Output()) {
				if strings.Contains(line, "stream closed") && !strings.Contains(line, "client=127.3.7.1:") {
					t.Errorf("got the line %s, want the client 127.3.7.1", line)
				}
			}
			quietLog(t, umbra)

			bad := dialFrom(t, "127.3.7.2", front)
			if _, err := bad.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			umbra.WaitOutput(t, fmt.Sprintf("when handling connection from %s\n", bad.LocalAddr()))

			forged := dialFrom(t, "127.3.7.3", server)
			if _, err := forged.Write([]byte("PROXY TCP4 192.0.2.77 192.0.2.1 1 2\r\n\x05\x01\x00")); err != nil {
				t.Fatal(err)
			}
			// The form depends on whether the client had sent data by then.
			umbra.Until(t, "refuse who is not trusted", func() bool {
				for line := range strings.Lines(umbra.Output()) {
					if strings.Contains(line, "not trusted") && strings.Contains(line, forged.LocalAddr().String()) {
						return true
					}
				}
				return false
			})
			if strings.Contains(umbra.Output(), "192.0.2.77") {
				t.Errorf("a forged address is in the log:\n%s", umbra.Output())
			}
			for line := range strings.Lines(umbra.Output()) {
				if strings.Contains(line, " WARN ") && strings.Contains(line, balancerAddr) {
					t.Errorf("got the line %s, want no warning of the balancer", line)
				}
			}
		})
	}
}

// TestEventsBehindHAProxy uses a gate: it receives events of the true clients and never of the
// balancer.
func TestEventsBehindHAProxy(t *testing.T) {
	for _, tc := range sendProxy {
		t.Run(tc.name, func(t *testing.T) {
			h := coretest.NewHandler()
			checks := make(chan struct{}, 100)
			server := serveGate(t, h, slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
				if bytes.Contains(line, []byte("client="+balancerAddr)) {
					select {
					case checks <- struct{}{}:
					default: // the channel holds enough for this test
					}
				}
			}), &slog.HandlerOptions{Level: slog.LevelDebug})))
			front := balancer(t, server, tc.options)
			for range 3 {
				coretest.Await(t, "a health check", checks)
			}
			if events := h.Events(); len(events) != 0 {
				t.Errorf("events of health checks: got %v, want none", events)
			}
			bad := dialFrom(t, "127.3.7.4", front)
			if _, err := bad.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			for _, e := range h.WaitEnds(t, 1) {
				if e.Client.Addr.String() != bad.LocalAddr().String() || e.Kind != core.HandshakeFailed {
					t.Errorf("event: got %+v, want a failed handshake of %v", e, bad.LocalAddr())
				}
			}
		})
	}
}

// writerFunc is an io.Writer.
type writerFunc func(p []byte)

func (w writerFunc) Write(p []byte) (int, error) { w(p); return len(p), nil }

// serveGate runs a SOCKS5 inbound with the gate h behind haproxy in this process, and returns its
// port.
func serveGate(t *testing.T, h *coretest.Handler, log *slog.Logger) int {
	t.Helper()
	port := peer.FreePort(t)
	o := socks.Options{Options: inbound.Options{
		Mode: "tcp", MaxHandshakes: 100, ClientHandshakes: 64,
		ProxyProtocol: &inbound.ProxyProtocol{
			Trusted: []option.Prefix{{Prefix: netip.MustParsePrefix(balancerAddr + "/32")}}, Timeout: option.Duration(patience),
		},
	}}
	o.Listen = make(option.ListenList, 1)
	if err := o.Listen[0].UnmarshalText([]byte(peer.Addr(port))); err != nil {
		t.Fatal(err)
	}
	env := coretest.Env(t)
	env.Log = log
	in, err := socks.New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := in.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		serving.Wait()
	})
	return port
}
