package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/plugins"
)

// parsed returns a file's mistakes and its warnings.
func parsed(text string) (mistakes, warnings []string) {
	reg := new(core.Registry)
	plugins.Standard(reg)
	f, err := config.Parse("f", []byte(text), reg)
	if err != nil {
		return strings.Split(err.Error(), "\n"), nil
	}
	for _, w := range f.Warnings {
		warnings = append(warnings, w.Error())
	}
	return nil, warnings
}

// A file in which requests come back to their own pipeline is refused at the server's
// address; the local and the server side in one file are not a loop.
func TestCheckLoops(t *testing.T) {
	const text = `
[pipeline]
self = { chain = ["inbound.self", "outbound.self"] }
a = { chain = ["inbound.a", "outbound.to_b"] }
b = { chain = ["inbound.b", "outbound.to_a"] }
local = { chain = ["inbound.local", "outbound.to_server"] }
server = { chain = ["inbound.server", "outbound.direct"] }
far = { chain = ["inbound.far", "outbound.far"] }
[inbound]
self = { kind = "ss", cipher = "c", listen = "127.0.0.1:1" }
a = { kind = "ss", cipher = "c", listen = ":2" }
b = { kind = "ss", cipher = "c", listen = "[::1]:3" }
local = { kind = "socks5", listen = "127.0.0.1:4" }
server = { kind = "ss", cipher = "c", listen = "127.0.0.1:5" }
far = { kind = "ss", cipher = "c", listen = ":6" }
[outbound]
self = { kind = "ss", cipher = "c", server = "127.0.0.1:1" }
to_b = { kind = "ss", cipher = "c", server = "[::1]:3" }
to_a = { kind = "ss", cipher = "c", server = "localhost:2" }
to_server = { kind = "ss", cipher = "c", server = "127.0.0.1:5" }
far = { kind = "ss", cipher = "c", server = "192.0.2.1:6" }
direct = {}
[cipher.c]
kind = "aes-128-gcm"
password = "correct horse battery staple"
`
	got, _ := parsed(text)
	var loops []string
	for _, line := range got {
		if strings.Contains(line, "a loop: it leads to") {
			loops = append(loops, line)
		} else {
			t.Errorf("got %s", line)
		}
	}
	for i, want := range []string{"outbound.self.server", "outbound.to_b.server", "outbound.to_a.server"} {
		if i >= len(loops) || !strings.Contains(loops[i], want) {
			t.Errorf("got %q, want %s as number %d", loops, want, i)
		}
	}
	if len(loops) != 3 {
		t.Errorf("got %q, want 3 loops", loops)
	}
	example, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := parsed(string(example)); got != nil {
		t.Errorf("the example: got %q", got)
	}
}

// Address ranges that names walk around are warned of, once a policy.
func TestCheckNames(t *testing.T) {
	for _, tc := range []struct {
		name, chain, options string
		warns                bool
	}{
		{"ranges", "", `deny_targets = ["10.0.0.0/8"]`, true},
		{"names", "", `deny_targets = ["example.org"]`, false},
		{"allowed ranges", "", `allow_targets = ["10.0.0.0/8"]`, false},
		{"its resolver", "", "deny_targets = [\"10.0.0.0/8\"]\nresolver = \"system\"", false},
		{"a resolver before it", `"resolver.system", `, `deny_targets = ["10.0.0.0/8"]`, false},
		{"sources", "", `deny_sources = ["10.0.0.0/8"]`, false},
	} {
		mistakes, warnings := parsed(`
[pipeline.p]
chain = ["inbound.socks5", ` + tc.chain + `"policy.acl", "outbound.direct"]
[inbound.socks5]
listen = "127.0.0.1:1"
[outbound.direct]
[resolver.system]
[policy.acl]
` + tc.options + "\n")
		n := strings.Count(strings.Join(warnings, "\n"), "policy.acl.deny_targets: its address ranges hold for no target that is a name")
		if mistakes != nil || (n == 1) != tc.warns || n > 1 {
			t.Errorf("%s: got %q, %q, want a warning %t", tc.name, mistakes, warnings, tc.warns)
		}
	}
}
