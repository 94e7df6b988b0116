package dns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/test/peer"
)

// zone is what unbound knows in tests. The name with many addresses has an answer
// that is too long for UDP.
func zone() string {
	var b strings.Builder
	b.WriteString(`local-zone: "test." static
	local-data: "test. 3600 IN SOA ns.test. mail.test. 1 2 3 4 60"
	local-data: "one.test. 300 IN A 192.0.2.7"
	local-data: "one.test. 200 IN AAAA 2001:db8::7"
	local-data: "four.test. 300 IN A 192.0.2.4"
	local-data: "six.test. 300 IN AAAA 2001:db8::6"
	local-data: "text.test. 300 IN TXT none"
	local-data: "MiXeD.test. 300 IN A 192.0.2.8"
`)
	for i := range 250 {
		fmt.Fprintf(&b, "\tlocal-data: \"many.test. 300 IN A 198.51.100.%d\"\n", i)
	}
	return b.String()
}

// servers returns unbound's addresses, by the ways to ask it.
func servers(u *peer.Unbound) map[string]string {
	return map[string]string{
		"udp":           peer.Addr(u.Port),
		"tcp":           "tcp://" + peer.Addr(u.Port),
		"tls":           "tls://" + peer.Addr(u.TLS),
		"tls by name":   fmt.Sprintf("tls://dns.test:%d", u.TLS),
		"https":         fmt.Sprintf("https://%s/dns-query", peer.Addr(u.HTTPS)),
		"https by name": fmt.Sprintf("https://dns.test:%d/dns-query", u.HTTPS),
	}
}

func TestUnbound(t *testing.T) {
	u := peer.StartUnbound(t, zone(), "")
	for way, server := range servers(u) {
		t.Run(way, func(t *testing.T) {
			o := options(t, server)
			o.CA = u.CA
			if strings.Contains(way, "name") {
				o.Bootstrap = bootstrap("dns.test", "127.0.0.1")
			}
			r := start(t, o)
			for _, tc := range []struct {
				name string
				want []string
			}{
				{"one.test", []string{"192.0.2.7", "2001:db8::7"}},
				{"ONE.Test.", []string{"192.0.2.7", "2001:db8::7"}},
				{"four.test", []string{"192.0.2.4"}},
				{"six.test", []string{"2001:db8::6"}},
				{"mixed.test", []string{"192.0.2.8"}},
			} {
				if got, err := r.LookupIP(t.Context(), tc.name); err != nil || !slices.Equal(got, addrs(tc.want...)) {
					t.Errorf("%s: got %v, %v, want %v", tc.name, got, err, tc.want)
				}
			}
			if got, err := r.LookupIP(t.Context(), "many.test"); err != nil || len(got) != maxAddrs {
				t.Errorf("many.test: got %d addresses, %v, want %d", len(got), err, maxAddrs)
			}
			for _, name := range []string{"none.test", "text.test"} {
				got, err := r.LookupIP(t.Context(), name)
				if d, ok := errors.AsType[*net.DNSError](err); got != nil || !ok || !d.IsNotFound || d.Server == "" {
					t.Errorf("%s: got %v, %#v, want not found, by a server", name, got, err)
				}
			}
		})
	}
}

// TestUnboundTell checks what is told of an answer and of the same from memory.
func TestUnboundTell(t *testing.T) {
	u := peer.StartUnbound(t, zone(), "")
	r := start(t, options(t, "tcp://"+peer.Addr(u.Port)))
	for _, cached := range []bool{false, true} {
		got, err := r.Tell(t.Context(), "one.test")
		if err != nil || len(got) != 2 {
			t.Fatalf("got %v, %v, want two addresses", got, err)
		}
		for i, seconds := range []float64{300, 200} {
			if f := got[i]; f.TTL.Seconds() > seconds || f.TTL.Seconds() < seconds-60 || f.From != "tcp://"+peer.Addr(u.Port) || f.Cached != cached {
				t.Errorf("got %+v, want a TTL of %v s, cached %t", f, seconds, cached)
			}
		}
	}
}

// TestUnboundTLSRefused checks that a server must prove who it is.
func TestUnboundTLSRefused(t *testing.T) {
	u := peer.StartUnbound(t, zone(), "")
	other, _ := peer.Certificate(t, "127.0.0.1", "dns.test")
	for _, tc := range []struct{ name, server, ca string }{
		{"unknown CA", "tls://" + peer.Addr(u.TLS), ""},
		{"another CA", "tls://" + peer.Addr(u.TLS), other},
		{"another name", fmt.Sprintf("tls://other.test:%d", u.TLS), u.CA},
		{"https, unknown CA", fmt.Sprintf("https://%s/dns-query", peer.Addr(u.HTTPS)), ""},
		{"https, another name", fmt.Sprintf("https://other.test:%d/dns-query", u.HTTPS), u.CA},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, tc.server)
			o.CA = tc.ca
			if strings.Contains(tc.name, "name") {
				o.Bootstrap = bootstrap("other.test", "127.0.0.1")
			}
			got, err := start(t, o).LookupIP(t.Context(), "one.test")
			if got != nil || err == nil || !strings.Contains(err.Error(), "x509") {
				t.Errorf("got %v, %v, want an error of x509", got, err)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	u := peer.StartUnbound(t, zone(), "")
	coretest.TestResolver(t, coretest.Names{Known: "one.test", Missing: "none.test"}, func(t testing.TB) core.Resolver {
		return start(t, options(t, peer.Addr(u.Port)))
	})
}
