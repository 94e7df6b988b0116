package config

import (
	"strings"
	"testing"
)

// What [admin] opens to others than this machine needs a token and TLS, and what is given
// for nothing is told.
func TestAdmin(t *testing.T) {
	for _, tc := range []struct{ admin, mistake, warning string }{
		{`web = "127.0.0.1:9090"`, "", ""},
		{`web = "[::1]:9090"`, "", ""},
		{`web = ":9090"`, "want an IP address and a port", ""},
		{`web = "localhost:9090"`, "want an IP address and a port", ""},
		{`web = "0.0.0.0:9090"`, "not a loopback address", ""},
		{"web = \"192.0.2.1:9090\"\ntoken_file = \"t\"", "not a loopback address", ""},
		{"web = \"192.0.2.1:9090\"\ncert = \"c\"\nkey = \"k\"", "not a loopback address", ""},
		{"web = \"192.0.2.1:9090\"\ntoken_file = \"t\"\ncert = \"c\"\nkey = \"k\"", "", ""},
		{"web = \"127.0.0.1:9090\"\ncert = \"c\"", "belong together", ""},
		{`token_file = "t"`, "", "x.toml:5:14: admin.token_file: it is for web"},
		{`write = true`, "", "x.toml:5:9: admin.write: it is for web"},
		{"web = \"127.0.0.1:9090\"\nmax_users = 0", "want 1 to 100000", ""},
	} {
		f, err := Parse("x.toml", []byte("[pipeline.p]\nchain = [\"inbound.socks5\", \"outbound.direct\"]\n\n[admin]\n"+tc.admin+"\n[inbound.socks5]\nlisten = \"127.0.0.1:1\"\n[outbound.direct]\n"), kinds())
		text := ""
		if err != nil {
			text = err.Error()
		}
		if tc.mistake == "" && strings.Contains(text, "admin") || !strings.Contains(text, tc.mistake) {
			t.Errorf("%s: got %q, want %q", tc.admin, text, tc.mistake)
		}
		if tc.warning == "" {
			continue
		}
		if f == nil {
			t.Errorf("%s: got %q, want a warning", tc.admin, text)
			continue
		}
		var all strings.Builder
		for _, w := range f.Warnings {
			all.WriteString(w.Error() + "\n")
		}
		if !strings.Contains(all.String(), tc.warning) {
			t.Errorf("%s: got %q, want %q", tc.admin, all.String(), tc.warning)
		}
	}
}
