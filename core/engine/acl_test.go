package engine_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/plugins"
)

// TestDenied asks whole pipelines by SOCKS5 for what a policy denies.
func TestDenied(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	port := target.Addr().(*net.TCPAddr).AddrPort().Port()
	const names = `["127.0.0.1"]
[resolver.names]
kind = "hosts"
names = { "rebound.test" = ["127.0.0.1"], "open.test" = ["127.0.0.2", "127.0.0.1"] }
`
	for _, tc := range []struct {
		name, chain, lists string
		want               map[string]byte // replies by host
	}{
		{"by address and name", "", `deny_targets = ["127.0.0.0/8", "suffix:.denied.test"]`, map[string]byte{
			"127.0.0.1": 2, "denied.test": 2, "www.Denied.Test.": 2,
		}},
		{"nothing", "", `deny_targets = ["127.0.0.2"]`, map[string]byte{"127.0.0.1": 0, "127.0.0.2": 2}},
		{"port", "", fmt.Sprintf(`deny_ports = ["%d"]`, port), map[string]byte{"127.0.0.1": 2}},
		{"source", "", `deny_sources = ["127.0.0.0/8"]`, map[string]byte{"127.0.0.1": 2}},
		{"behind a resolver", `"resolver.names", `, `deny_targets = ["127.0.0.1"]`, map[string]byte{"rebound.test": 2, "127.0.0.1": 2}},
		{"behind a resolver, one of two", `"resolver.names", `, `deny_targets = ["127.0.0.2"]`, map[string]byte{"open.test": 0}},
		{"with a resolver", "", "deny_targets = [\"127.0.0.1\"]\nresolver = \"names\"", map[string]byte{"rebound.test": 2, "127.0.0.1": 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := coretest.FreeAddr(t)
			text := fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.socks5", %s"policy.acl", "outbound.direct"]
[inbound.socks5]
listen = %q
[policy.acl]
%s
[outbound.direct]
allow = `, tc.chain, at, tc.lists) + strings.Replace(names, `"127.0.0.1"]`, `"127.0.0.0/8"]`, 1)
			reg := &core.Registry{}
			plugins.Standard(reg)
			f, err := config.Parse("f", []byte(text), reg)
			if err != nil {
				t.Fatal(err)
			}
			e := engine.New(reg, slog.New(slog.DiscardHandler))
			if err := e.Start(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := e.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			for host, want := range tc.want {
				if got := socksReply(t, fmt.Sprint(at), host, port); got != want {
					t.Errorf("%s: got the reply %02d, want %02d", host, got, want)
				}
			}
		})
	}
}

// socksReply asks a SOCKS5 server for a target and returns its reply.
func socksReply(t *testing.T, server, host string, port uint16) byte {
	t.Helper()
	c, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	target, err := core.NewAddr(host, port)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, target)); err != nil {
		t.Fatal(err)
	}
	var answer [4]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		t.Fatal(err)
	}
	return answer[3]
}
