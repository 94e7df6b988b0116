package dns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestOptionsRefused checks that each mistake is told with its key.
func TestOptionsRefused(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	domains := func(name string, servers ...string) map[string][]option.NameServer {
		return map[string][]option.NameServer{name: nameServers(t, servers...)}
	}
	for _, tc := range []struct {
		name   string
		change func(*Options)
		key    string
		text   string
	}{
		{"no servers", func(o *Options) { o.Servers = nil }, "servers", "empty list"},
		{"a server twice", func(o *Options) { o.Servers = nameServers(t, "8.8.8.8", "udp://8.8.8.8:53") }, "servers", "udp://8.8.8.8 is listed twice"},
		{"too many", func(o *Options) {
			for i := range maxServers {
				o.Servers = append(o.Servers, nameServers(t, fmt.Sprintf("192.0.2.%d", 100+i))...)
			}
		}, "servers", "want at most 16"},
		{"an invalid domain", func(o *Options) { o.Domains = domains("corp_.ex ample", "10.0.0.1") }, "domains", "invalid domain"},
		{"an address for a domain", func(o *Options) { o.Domains = domains("10.0.0.1", "10.0.0.1") }, "domains", "invalid domain"},
		{"a domain without servers", func(o *Options) { o.Domains = domains("corp.test") }, "domains", "corp.test: empty list"},
		{"a domain twice", func(o *Options) {
			o.Domains = domains("corp.test", "10.0.0.1")
			o.Domains["Corp.test."] = nameServers(t, "10.0.0.2")
		}, "domains", "is listed twice"},
		{"bootstrap for an unknown server", func(o *Options) { o.Bootstrap = bootstrap("dns.test", "192.0.2.1") }, "bootstrap", "not the name of a server"},
		{"bootstrap for an address", func(o *Options) { o.Bootstrap = bootstrap("", "192.0.2.1") }, "bootstrap", "not the name of a server"},
		{"empty bootstrap", func(o *Options) {
			o.Servers, o.Bootstrap = nameServers(t, "tls://dns.test"), bootstrap("DNS.test")
		}, "bootstrap", "empty list"},
		{"no timeout", func(o *Options) { o.Timeout = 0 }, "timeout", "want 100ms to 5s, got 0s"},
		{"a long timeout", func(o *Options) { o.Timeout = option.Duration(time.Minute) }, "timeout", "want 100ms to 5s, got 1m"},
		{"no queries", func(o *Options) { o.MaxQueries = 0 }, "max_queries", "want 1 to 65536, got 0"},
		{"negative entries", func(o *Options) { o.CacheEntries = -1 }, "cache_entries", "want 1 to 16777216, got -1"},
		{"few bytes", func(o *Options) { o.CacheBytes = 100 }, "cache_bytes", "want 65536 to "},
		{"min over max", func(o *Options) { o.MinTTL, o.MaxTTL = option.Duration(time.Hour), option.Duration(time.Minute) }, "min_ttl", "longer than max_ttl"},
		{"no max_ttl", func(o *Options) { o.MaxTTL = 0 }, "max_ttl", "want 1s to 168h, got 0s"},
		{"long negative_ttl", func(o *Options) { o.NegativeTTL = option.Duration(1000 * time.Hour) }, "negative_ttl", "want 0s to 168h, got 1000h"},
		{"stale for weeks", func(o *Options) { o.ServeStale = option.Duration(1000 * time.Hour) }, "serve_stale", "to 72h"},
		{"no CA", func(o *Options) { o.CA = filepath.Join(filepath.Dir(junk), "none.pem") }, "ca", "no such file"},
		{"an invalid CA file", func(o *Options) { o.CA = junk }, "ca", "no PEM certificate"},
		{"via what can't be first", func(o *Options) { o.Via = "later" }, "via", "outbound.later"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, "192.0.2.1")
			tc.change(&o)
			env := coretest.Env(t)
			env.Graph = coretest.Graph{core.Ref[core.Outbound]("later"): later{}}
			r, err := New(env, o)
			bad, ok := errors.AsType[*core.OptionError](err)
			if r != nil || !ok || bad.Key != tc.key || !strings.Contains(bad.Err.Error(), tc.text) {
				t.Errorf("got %v, %v, want the key %s and %q", r, err, tc.key, tc.text)
			}
		})
	}
	o := options(t, "192.0.2.1")
	o.Via = "none"
	if _, err := New(coretest.Env(t), o); err == nil {
		t.Error("unknown outbound: got nil, want an error")
	}
}

// later is an outbound that reaches nothing over the bare network.
type later struct{ deadEnd }

func (later) Over(core.Dialer) (core.Dialer, error) { return nil, core.ErrFirstHop }

func TestStrategy(t *testing.T) {
	for _, text := range []string{"failover", "race", "spread"} {
		var s Strategy
		if err := s.UnmarshalText([]byte(text)); err != nil || string(s) != text {
			t.Errorf("%s: got %q, %v", text, s, err)
		}
	}
	var s Strategy
	if err := s.UnmarshalText([]byte("fastest")); err == nil || !strings.Contains(err.Error(), "race") {
		t.Errorf("got %v, want the words that there are", err)
	}
}
