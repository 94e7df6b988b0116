package interop

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/probe"
	"github.com/umbra-proxy/umbra/plugins"
)

// TestProbe probes umbra's server and the other implementation's with the key: umbra's has no finding, the
// other has.
func TestProbe(t *testing.T) {
	const method = "2022-blake3-aes-128-gcm"
	web := &http.Server{Handler: http.NotFoundHandler()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = web.Serve(l) }()
	t.Cleanup(func() { web.Close() })
	target, err := core.ParseAddr(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	runUmbra(t, fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
handshake_timeout = "1s"
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.house]
kind = %q
password = %q
`, ours, method, psk(16, 'a')))
	for _, tc := range []struct {
		name, server string
		tells        bool
	}{
		{"umbra", ours, false},
		{"sing-shadowsocks", singServer(t, method, psk(16, 'a'), ""), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := probe.NewPlan(probe.Config{
				Server: tc.server, Key: &probe.Key{Cipher: cipherOf(t, method, psk(16, 'a')), Target: target},
				Wait: 3 * time.Second, Parallel: 16, Quick: true, Tolerance: 700 * time.Millisecond, Pace: 5 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			result, err := plan.Run(t.Context(), func(int, probe.Record) {})
			if err != nil {
				t.Fatal(err)
			}
			v := probe.Judge(result)
			var text strings.Builder
			if err := probe.WriteVerdict(&text, result, v); err != nil {
				t.Fatal(err)
			}
			if got := len(v.Findings) > 0; got != tc.tells || v.Undecided != "" {
				t.Errorf("got tells %t, want %t:\n%s", got, tc.tells, text.String())
			}
			t.Log(text.String())
		})
	}
}

// cipherOf returns a cipher of umbra's.
func cipherOf(t *testing.T, method, password string) core.Cipher {
	t.Helper()
	var reg core.Registry
	plugins.Standard(&reg)
	kind, ok := reg.Cipher.Lookup(method)
	if !ok {
		t.Fatalf("no method %s", method)
	}
	options := reflect.New(kind.Options)
	for _, f := range config.Fields(kind.Options) {
		if f.Key == "password" {
			f.In(options.Elem()).SetString(password)
		}
	}
	c, err := kind.New(core.Env{Name: "probe", Log: slog.New(slog.DiscardHandler), Process: new(core.Process)}, options.Interface())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
