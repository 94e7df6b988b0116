package config

import (
	"strings"
	"testing"
)

// TestSecrets gives secrets in every wrong way and looks for them in what is
// said.
func TestSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{
		"password = ['hunter2']",
		"password = { 'x' = 'hunter2' }",
		"pasword = 'hunter2'",
		"secrets = 'hunter2'",
		"secrets = [['hunter2'], 'hunter2', 1]",
		"flag = 'hunter2'",
		"int = 'hunter2'",
		"tuning = 'hunter2'",
		"kind = ['hunter2']",
		"password = hunter2",
		"password = 'hunter2",
		"password = 'hunter2' hunter2",
		"password = 'hunter2'\npassword = 'hunter2'",
		"password = 'hunter2'\n[policy.all]\npassword = 'hunter2'",
		"password = \"hunter2\\\"",
		"[policy]\npassword = 'hunter2'",
		"[policy.all.password]\nx = 'hunter2'",
		"[[policy.all.secrets]]\nx = 'hunter2'",
		"[passwords]\nx = 'hunter2'",
	} {
		_, err := Parse("x", []byte(pipeline+"[policy.all]\n"+line), kinds())
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: got %v, want an error without %q", line, err, secret)
		}
	}
}
