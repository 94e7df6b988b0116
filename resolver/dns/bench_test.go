package dns_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/plugins"
	"github.com/umbra-proxy/umbra/resolver/dns"
	"github.com/umbra-proxy/umbra/test/peer"
)

// wild has every name under wild.test.
const wild = `local-zone: "wild.test." redirect
	local-data: "wild.test. 3600 IN A 127.0.0.1"
	local-data: "wild.test. 3600 IN AAAA ::1"
`

// dnsmasq runs dnsmasq as a cache in front of unbound and returns its port.
func dnsmasq(b *testing.B, unbound int) int {
	b.Helper()
	port := peer.FreePort(b)
	path := filepath.Join(b.TempDir(), "dnsmasq.conf")
	file := fmt.Sprintf("port=%d\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\nserver=127.0.0.1#%d\ncache-size=10000\n", port, unbound)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		b.Fatal(err)
	}
	peer.Start(b, nil, peer.Need(b, "dnsmasq"), "-k", "-C", path).WaitPackets(b, port)
	return port
}

// system makes the server on a port the one of the operating system's resolver, for
// this process.
func system(b *testing.B, port int) core.Resolver {
	b.Helper()
	before := net.DefaultResolver
	b.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, peer.Addr(port))
	}}
	return dial.SystemResolver{}
}

// resolver returns resolver.dns with one server.
func resolver(b *testing.B, server string) core.Resolver {
	b.Helper()
	var n option.NameServer
	if err := n.UnmarshalText([]byte(server)); err != nil {
		b.Fatal(err)
	}
	env := coretest.Env(b)
	env.Log = slog.New(slog.DiscardHandler)
	r, err := dns.New(env, dns.Options{
		Servers: []option.NameServer{n}, Strategy: "failover", Timeout: option.Duration(2 * time.Second), MaxQueries: 256,
		CacheEntries: 16384, CacheBytes: 8 << 20, MaxTTL: option.Duration(24 * time.Hour), Prefetch: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.(*dns.Resolver).Shutdown(context.Background()) })
	return r
}

// BenchmarkCached looks up a name that has been looked up before: in the process, and
// by asking a cache beside it.
func BenchmarkCached(b *testing.B) {
	u := peer.StartUnbound(b, wild, "")
	masq := dnsmasq(b, u.Port)
	for _, tc := range []struct {
		name string
		of   func(b *testing.B) core.Resolver
	}{
		{"dns", func(b *testing.B) core.Resolver { return resolver(b, peer.Addr(u.Port)) }},
		{"system with dnsmasq", func(b *testing.B) core.Resolver { return system(b, masq) }},
		{"system with unbound", func(b *testing.B) core.Resolver { return system(b, u.Port) }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			r := tc.of(b)
			if _, err := r.LookupIP(b.Context(), "warm.wild.test"); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if ips, err := r.LookupIP(context.Background(), "warm.wild.test"); err != nil || len(ips) != 2 {
						b.Errorf("got %v, %v", ips, err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}

// BenchmarkConnect goes through a pipeline to a name: SOCKS5 in, straight out. A cold
// name has not been looked up before, a warm one has.
func BenchmarkConnect(b *testing.B) {
	u := peer.StartUnbound(b, wild, "")
	masq := dnsmasq(b, u.Port)
	target := echo(b)
	for _, tc := range []struct {
		name, server string // none for the system's
		system       int
	}{
		{"dns by udp", peer.Addr(u.Port), u.Port},
		{"dns by tls", "tls://" + peer.Addr(u.TLS), u.Port},
		{"dns by https", fmt.Sprintf("https://%s/dns-query", peer.Addr(u.HTTPS)), u.Port},
		{"system with dnsmasq", "", masq},
		{"system with unbound", "", u.Port},
	} {
		for _, warm := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/warm=%t", tc.name, warm), func(b *testing.B) {
				system(b, tc.system)
				proxy := pipeline(b, tc.server, u.CA)
				connect(b, proxy, "warm.wild.test", target)
				took := make([]time.Duration, 0, b.N)
				for n := 0; b.Loop(); n++ {
					name := "warm.wild.test"
					if !warm {
						name = fmt.Sprintf("n%d-%d.wild.test", b.N, n)
					}
					took = append(took, connect(b, proxy, name, target))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

// pipeline serves SOCKS5 in this process and returns its address.
func pipeline(b *testing.B, server, ca string) string {
	b.Helper()
	at := coretest.FreeAddr(b).String()
	stage, table := "", ""
	if server != "" {
		stage, table = `"resolver.dns", `, fmt.Sprintf("[resolver.dns]\nservers = [%q]\nca = %q\n", server, ca)
	}
	file := fmt.Sprintf("[pipeline.p]\nchain = [\"inbound.socks5\", %s\"outbound.direct\"]\n[inbound.socks5]\nlisten = %q\n[outbound.direct]\nallow = [\"127.0.0.0/8\", \"::1\"]\n%s", stage, at, table)
	reg := new(core.Registry)
	plugins.Standard(reg)
	f, err := config.Parse("bench.toml", []byte(file), reg)
	if err != nil {
		b.Fatal(err)
	}
	e := engine.New(reg, slog.New(slog.DiscardHandler))
	if err := e.Start(context.Background(), f); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return at
}

// connect asks a SOCKS5 proxy for a name and returns how long it took to be connected.
func connect(b *testing.B, proxy, name string, port int) time.Duration {
	b.Helper()
	began := time.Now()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	to, err := core.NewAddr(name, uint16(port))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Write(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, to)); err != nil {
		b.Fatal(err)
	}
	reply := make([]byte, 12)
	if _, err := io.ReadFull(c, reply); err != nil || reply[3] != 0 {
		b.Fatalf("%s: got %x, %v", name, reply, err)
	}
	return time.Since(began)
}

// echo accepts connections on loopback and closes them when their clients do.
func echo(b *testing.B) (port int) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	b.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
