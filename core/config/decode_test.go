package config

import (
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestMistakes has what needs a file of its own, or a registry of its own.
func TestMistakes(t *testing.T) {
	type badOptions struct {
		Default option.Duration `toml:"default" default:"soon" help:"x"`
		Wait    time.Duration   `toml:"wait" help:"x"`
		Channel chan int        `toml:"channel" help:"x"`
	}
	bad := kinds()
	core.Add(&bad.Policy, "bad", noBuild[core.Policy, badOptions])
	many := kinds()
	for _, name := range strings.Fields("k01 k02 k03 k04 k05 k06 k07 k08 k09 k10 k11 k12 k13") {
		core.Add(&many.Resolver, name, noBuild[core.Resolver, directOptions])
	}
	none := &core.Registry{Inbound: bad.Inbound, Outbound: bad.Outbound}
	const policy = pipeline + "[policy.all]\n"
	for _, tc := range []struct {
		name string
		reg  *core.Registry
		text string
		want string
	}{
		{"log is no table", bad, "log = 1\n" + policy, "x:1:1: log: write one table [log]"},
		{"process is a list", bad, "[[process]]\n" + policy, "x:1:1: process: write one table [process]"},
		{"kind of a wrong type", bad, policy + "kind = 1", "x:8:8: policy.all.kind: want a string, got an integer"},
		{"no kind, near one", bad, policy + "[cipher.aes-256-gmc]",
			`x:8:1: cipher.aes-256-gmc: aes-256-gmc is not a kind of cipher; did you mean aes-256-gcm? if not, give kind = "…"`},
		{"no kind", bad, policy + "[cipher.house]", `x:8:1: cipher.house: house is not a kind of cipher; give kind = "…"; known are aes-256-gcm`},
		{"kind near an alias", bad, policy + "[cipher.c]\nkind = 'aead-aes-256-gcm'",
			"x:9:8: cipher.c.kind: unknown kind aead-aes-256-gcm; did you mean aead_aes_256_gcm?"},
		{"kind in upper case", bad, policy + "[cipher.c]\nkind = 'AES-256-GCM'", "x:9:8: cipher.c.kind: unknown kind AES-256-GCM; did you mean aes-256-gcm?"},
		{"many kinds", many, policy + "[resolver.r]\nkind = 'quartz'",
			"x:9:8: resolver.r.kind: unknown kind quartz; known are dns, k01, k02, k03, k04, k05, k06, k07, k08, k09, k10, k11 and more"},
		{"no kinds", none, policy, `x:7:1: policy.all: all is not a kind of policy; give kind = "…"; this program has none`},
		{"odd kind", bad, policy + "[resolver.r]\nkind = \"\\n\\u202e\"", `x:9:8: resolver.r.kind: unknown kind "\n\u202e"; known are dns`},
		{"mistake of the program", bad, policy + "[policy.x]\nkind = 'bad'\nwait = 1\nchannel = 1",
			"x:8:1: policy.x: a mistake in the program: default of default: \"soon\" is not a duration; write it as \"30s\" or \"5m\"\n" +
				"x:10:8: policy.x.wait: a mistake in the program: time.Duration reads no text; use option.Duration\n" +
				"x:11:11: policy.x.channel: a mistake in the program: no file can give a chan int"},
		{"upper case elsewhere", bad, policy + "QUARTZ = 1", "x:8:1: policy.all.QUARTZ: keys have only lower-case letters, digits, _ and -"},
		{"upper case of a required key", bad, strings.Replace(policy, "listen", "Listen", 1), "x:3:1: inbound.socks5.Listen: keys are in lower case; write listen"},
		{"wrong header of what a chain names", bad, strings.Replace(policy, "[outbound.", "[outbond.", 1), "x:4:1: outbond: unknown section; did you mean outbound?"},
		{"wrong header of the pipeline", bad, strings.Replace(policy, "[pipeline.", "[Pipeline.", 1), "x:5:1: Pipeline: sections are in lower case; write pipeline"},
		{"reference to itself", bad, policy + "[outbound.a]\nkind = 'ss'\nserver = 'a:1'\nresolver = 'r'\n[resolver.r]\nkind = 'dns'\nvia = 'a'",
			"x:14:7: resolver.r.via: a cycle of references: outbound.a -> resolver.r -> outbound.a"},
		{"a table for a list", bad, policy + "list = { a = 1 }", "x:8:8: policy.all.list: want a list, got a table"},
		{"a list of tables for text", bad, policy + "[[policy.all.text]]", "x:8:1: policy.all.text: want a string, got a list of tables"},
		{"a number for a list that takes one", bad, strings.Replace(policy, `listen = ":1"`, "listen = 1080", 1),
			`x:3:10: inbound.socks5.listen: want a string such as "127.0.0.1:1080", got an integer`},
		{"a number in a list that takes one", bad, strings.Replace(policy, `listen = ":1"`, "listen = [':1', 1080]", 1),
			`x:3:17: inbound.socks5.listen: want a string such as "127.0.0.1:1080", got an integer`},
		{"a boolean for a number", bad, policy + "rate = false", "x:8:8: policy.all.rate: want a number, got a boolean"},
		{"a number in quotes", bad, policy + "rate = '1.5'", "x:8:8: policy.all.rate: want a number, got a string; leave the quotes out"},
		{"levels", bad, "log.level = 1\nlog.format = 2\n" + policy,
			"x:1:13: log.level: want one of debug, info, warn, error, got an integer\nx:2:14: log.format: want one of text, json, python, got an integer"},
		{"format", bad, "log.format = 'xml'\n" + policy, `x:1:14: log.format: want one of text, json, python, got "xml"`},
		{"format nearly", bad, "log.format = 'Jsn'\n" + policy, `x:1:14: log.format: want one of text, json, python, got "Jsn"; did you mean json?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.TrimSuffix(report(Parse("x", []byte(tc.text), tc.reg)), "\n")
			if got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
