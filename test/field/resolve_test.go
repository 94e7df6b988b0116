package field

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// Tor's RESOLVE and RESOLVE_PTR, by tor-resolve: answered where this machine finds the
// names of a chain.
func TestTorResolve(t *testing.T) {
	t.Parallel()
	torResolve := peer.Need(t, "tor-resolve")
	const open = "[outbound.direct]\nallow = [\"127.0.0.0/8\"]\n"
	hosts := fmt.Sprintf("[resolver.hosts]\nfile = %q\n", write(t, "hosts", "127.9.8.7 name.test\n192.168.9.8 inside.test\n"))
	const acl = "[policy.acl]\ndeny_targets = [\"name.test\"]\n"
	const blocked = "[outbound.block]\n"
	hop := fmt.Sprintf("[outbound.ss]\nserver = \"127.0.0.1:9\"\ncipher = \"house\"\n[cipher.house]\nkind = \"aes-256-gcm\"\npassword = %q\n", peer.Password)
	for _, tc := range []struct {
		name, stages, tables string
		ask                  []string
		want                 string // in the output; of a failure with code 1 if it begins with "!"
	}{
		{"the operating system's", `"outbound.direct"`, open, []string{"localhost"}, "127.0.0.1"},
		{"its names of addresses", `"outbound.direct"`, open, []string{"-x", "127.0.0.1"}, "localhost"},
		{"a resolver of the chain", `"resolver.hosts", "outbound.direct"`, open + hosts, []string{"name.test"}, "127.9.8.7"},
		{"a resolver of the outbound", `"outbound.direct"`, open + "resolver = \"hosts\"\n" + hosts, []string{"name.test"}, "127.9.8.7"},
		{"a resolver before a hop", `"resolver.hosts", "outbound.ss"`, hop + hosts, []string{"name.test"}, "127.9.8.7"},
		{"a resolver without names of addresses", `"resolver.hosts", "outbound.direct"`, open + hosts, []string{"-x", "127.9.8.7"}, "!command not supported"},
		{"a server that is sent the names", `"outbound.ss"`, hop, []string{"name.test"}, "!command not supported"},
		{"no such name", `"outbound.direct"`, open, []string{"name.invalid"}, "!host is unreachable"},
		{"an address that is not public", `"resolver.hosts", "outbound.direct"`, open + hosts, []string{"inside.test"}, "!not allowed"},
		{"a name that a policy denies", `"policy.acl", "resolver.hosts", "outbound.direct"`, open + hosts + acl, []string{"name.test"}, "!not allowed"},
		{"a blocked chain", `"resolver.hosts", "outbound.block"`, blocked + hosts, []string{"name.test"}, "!not allowed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port := peer.FreePort(t)
			run(t, fmt.Sprintf("[pipeline.p]\nchain = [\"inbound.socks5\", %s]\n[inbound.socks5]\nlisten = %q\n%s", tc.stages, peer.Addr(port), tc.tables), port)
			out, err := exec.CommandContext(t.Context(), torResolve, append(append([]string{"-5"}, tc.ask...), peer.Addr(port))...).CombinedOutput()
			want, fails := strings.CutPrefix(tc.want, "!")
			_, failed := errors.AsType[*exec.ExitError](err)
			if failed != fails || err != nil && !failed || !strings.Contains(string(out), want) {
				t.Errorf("tor-resolve: got %q, %v, want %q, a failure: %t", out, err, want, fails)
			}
		})
	}
}
