package engine_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/plugins"
)

// mistakesOf returns the mistakes of a file, those of building too.
func mistakesOf(t *testing.T, text string) string {
	t.Helper()
	reg := new(core.Registry)
	plugins.Standard(reg)
	f, err := config.Parse("a.toml", []byte(text), reg)
	if err == nil {
		err = engine.Check(reg, f, slog.New(slog.DiscardHandler))
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// branchFile is a route whose tables a test completes: its own, and further ones.
func branchFile(inbound, route, more string) string {
	return "[pipeline.local]\nchain = [\"inbound.socks5\", \"outbound.split\"]\n[inbound.socks5]\nlisten = \"127.0.0.1:1\"\n" + inbound +
		"[outbound.split]\nkind = \"route\"\n" + route + "\n[outbound.direct]\n[outbound.nowhere]\nkind = \"block\"\n" + more
}

// TestBranchMistakes has a mistake of each sort: it is placed at the table that has it.
func TestBranchMistakes(t *testing.T) {
	const home = "[rule.home]\nchain = [\"outbound.direct\"]\ntargets = [\"home.example\"]\n"
	bad := filepath.Join(t.TempDir(), "bad.txt")
	if err := os.WriteFile(bad, []byte("a.example\nb example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, inbound, route, more, want string }{
		{"unknown rule", "", "rules = [\"hom\"]\notherwise = [\"outbound.direct\"]", home,
			"outbound.split.rules: no [rule.hom] in this file; did you mean home?"},
		{"no otherwise", "", `rules = ["home"]`, home, "outbound.split.otherwise: missing; where requests go"},
		{"empty otherwise", "", "rules = [\"home\"]\notherwise = []", home, "outbound.split.otherwise: no outbound; a chain ends with one or more"},
		{"no rule", "", "rules = []\notherwise = [\"outbound.direct\"]", "", "outbound.split.rules: empty; name a [rule.x]"},
		{"a rule twice", "", "rules = [\"home\", \"home\"]\notherwise = [\"outbound.direct\"]", home, "outbound.split.rules: rule.home stands twice"},
		{"a range", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", strings.Replace(home, "home.example", "10.0.0.0/8", 1),
			"rule.home.targets: 10.0.0.0/8 is a range, and a name never has an address here; give outbound.split a resolver"},
		{"a range with a resolver", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]\nresolver = \"system\"", strings.Replace(home, "home.example", "10.0.0.0/8", 1) + "[resolver.system]\n", ""},
		{"no section", "", "rules = [\"home\"]\notherwise = [\"direct\"]", home, `outbound.split.otherwise: "direct" is not a section.name; write it as outbound.direct`},
		{"an inbound", "", "rules = [\"home\"]\notherwise = [\"inbound.socks5\"]", home, "outbound.split.otherwise: inbound.socks5 can't stand here: this chain begins after the inbound"},
		{"a cipher", "", "rules = [\"home\"]\notherwise = [\"cipher.x\"]", home, "outbound.split.otherwise: cipher.x is not a stage of a chain"},
		{"unknown stage", "", "rules = [\"home\"]\notherwise = [\"outbound.derect\"]", home, "outbound.split.otherwise: no [outbound.derect] in this file; did you mean direct?"},
		{"order", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\", \"resolver.system\"]", home + "[resolver.system]\n",
			"outbound.split.otherwise: resolver.system stands after outbound.direct"},
		{"a gate", "", "rules = [\"home\"]\notherwise = [\"policy.ban\", \"outbound.direct\"]", home + "[policy.ban]\n",
			"outbound.split.otherwise: policy.ban is asked before a client's first byte is read"},
		{"its own branch", "", "rules = [\"home\"]\notherwise = [\"outbound.split\"]", home, "outbound.split.otherwise: a cycle of references: outbound.split -> outbound.split"},
		{"a longer cycle", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", strings.Replace(home, "outbound.direct", "outbound.split", 1),
			"a cycle of references: outbound.split -> rule.home -> outbound.split"},
		{"a list with a mistake", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", strings.Replace(home, "home.example", "file:"+bad, 1), "rule.home.targets: " + bad + ":2: "},
		{"no list", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", strings.Replace(home, "home.example", "file:"+bad+".none", 1), "no such file"},
		{"an empty list", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", strings.Replace(home, `"home.example"`, "", 1), "rule.home.targets: empty, so the rule never holds"},
		{"no network", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", home + "networks = [\"tcp\"]\nnot_networks = [\"tcp\"]\n", "rule.home.not_networks: the rule holds for no network"},
		{"unknown inbound", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", home + "inbounds = [\"sock5\"]\n", "rule.home.inbounds: no [inbound.sock5] in this file; did you mean socks5?"},
		{"share", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", home + "share = \"5\"\n", `rule.home.share: "5" is not a share above 0% and up to 100%`},
		{"no UDP", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", home + "[outbound.plain]\nkind = \"direct\"\nproxy_protocol = 1\n[rule.other]\nchain = [\"outbound.plain\"]\n", ""},
		{"no UDP in a rule", "", "rules = [\"home\", \"other\"]\notherwise = [\"outbound.direct\"]", home + "[outbound.plain]\nkind = \"direct\"\nproxy_protocol = 1\n[rule.other]\nusers = [\"alice\"]\nchain = [\"outbound.plain\"]\n",
			`rule.other.chain: outbound.plain carries no UDP with proxy_protocol, and inbound.socks5 serves UDP; set networks = ["tcp"] in the rules that lead here, or mode = "tcp" in [inbound.socks5]`},
		{"a rule for TCP alone", "", "rules = [\"home\", \"other\"]\notherwise = [\"outbound.direct\"]", home + "[outbound.plain]\nkind = \"direct\"\nproxy_protocol = 1\n[rule.other]\nnetworks = [\"tcp\"]\nchain = [\"outbound.plain\"]\n", ""},
		{"direct behind a hop", "", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]",
			strings.Replace(home, `["outbound.direct"]`, `["outbound.far", "outbound.direct"]`, 1) + "[outbound.far]\nkind = \"ss\"\nserver = \"192.0.2.1:1\"\ncipher = \"c\"\n[cipher.c]\nkind = \"aes-128-gcm\"\npassword = \"correct horse battery staple\"\n",
			"rule.home.chain: outbound.direct can only be the first hop of a chain"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := mistakesOf(t, branchFile(tc.inbound, tc.route, tc.more))
			if tc.want == "" && got != "" || tc.want != "" && !strings.Contains(got, tc.want) || strings.Count(got, "\n") > 0 {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if tc.want != "" && !strings.HasPrefix(got, "a.toml:") {
				t.Errorf("got %s, want its place", got)
			}
		})
	}
}

// TestHiddenRules warns of rules that an earlier one leaves nothing.
func TestHiddenRules(t *testing.T) {
	reg := new(core.Registry)
	plugins.Standard(reg)
	text := branchFile("", "rules = [\"a\", \"b\", \"c\", \"d\"]\notherwise = [\"outbound.direct\"]", `
[rule.a]
targets = ["ads.example", "tracker.example"]
chain = ["outbound.nowhere"]
[rule.b]
targets = ["x.ads.example", "home.example"]
chain = ["outbound.direct"]
[rule.c]
targets = ["tracker.example"]
ports = ["443"]
chain = ["outbound.direct"]
[rule.d]
targets = ["other.example"]
chain = ["outbound.direct"]
`)
	f, err := config.Parse("a.toml", []byte(text), reg)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := engine.Check(reg, f, slog.New(slog.NewTextHandler(&out, nil))); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rule.b is never reached for 1 of its 2 entries: rule.a has them", "rule.c is never reached: rule.a has all that it has"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %s", out.String(), want)
		}
	}
	if n := strings.Count(out.String(), "level=WARN"); n != 2 {
		t.Errorf("got %d warnings, want 2:\n%s", n, out.String())
	}
}
