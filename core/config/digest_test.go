package config_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/plugins"
)

// TestDigest compares the digests of a component in two files.
func TestDigest(t *testing.T) {
	const text = `
[pipeline.local]
chain = ["inbound.socks5", "outbound.paris"]
[inbound.socks5]
listen = "127.0.0.1:1080"
mode = "tcp"
[outbound.paris]
kind = "ss"
server = "paris.example:8388"
cipher = "house"
[cipher.house]
kind = "aes-256-gcm"
password = "correct horse battery staple"
`
	reg := new(core.Registry)
	plugins.Standard(reg)
	digest := func(text, name string) string {
		t.Helper()
		f, err := config.Parse("a.toml", []byte(text), reg)
		if err != nil {
			t.Fatal(err)
		}
		return f.Digest(config.ID{Section: core.SectionOutbound, Name: name})
	}
	t.Setenv("UMBRA_TEST_SERVER", "paris.example:8388")
	env := strings.Replace(text, `server = "paris.example:8388"`, `server = { env = "UMBRA_TEST_SERVER" }`, 1)
	of := digest(env, "paris")
	t.Setenv("UMBRA_TEST_SERVER", "paris.example:8389")
	if digest(env, "paris") == of {
		t.Error("a variable that changes: got the same")
	}
	heir := text + "[outbound.heir]\nlike = \"paris\"\n"
	if got := digest(strings.Replace(heir, "example:8388", "example:8389", 1), "heir"); got == digest(heir, "heir") {
		t.Error("a table that another one is like, which changes: got the same")
	}
	before := digest(text, "paris")
	if len(before) != 64 || strings.Contains(before, "horse") {
		t.Errorf("got %q", before)
	}
	if got := digest(text, "tokyo"); got != "" {
		t.Errorf("an unknown component: got %q", got)
	}
	for _, tc := range []struct {
		name, old, new string
		same           bool
	}{
		{"another pipeline option", `chain = ["inbound.socks5"`, "idle_timeout = \"1m\"\nchain = [\"inbound.socks5\"", true},
		{"order and layout", "kind = \"ss\"\nserver = \"paris.example:8388\"", "# a comment\nserver   = 'paris.example:8388'\nkind = \"ss\"", true},
		{"another component", `mode = "tcp"`, `max_handshakes = 7`, true},
		{"its own option", "paris.example:8388", "paris.example:8389", false},
		{"an option that is new", `cipher = "house"`, "cipher = \"house\"\nfirst_payload_wait = \"1s\"", false},
		{"what it names", "correct horse", "wrong horse", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changed := strings.Replace(text, tc.old, tc.new, 1)
			if changed == text {
				t.Fatal("nothing was changed")
			}
			if same := digest(changed, "paris") == before; same != tc.same {
				t.Errorf("the same: got %t, want %t", same, tc.same)
			}
		})
	}
}
