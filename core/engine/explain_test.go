package engine_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/plugins"
)

var updateExplain = flag.Bool("update-explain", false, "write testdata/explain/*.want")

// TestExplain compares the pictures of whole files with golden ones.
func TestExplain(t *testing.T) {
	t.Setenv("UMBRA_TEST_LISTEN", "127.0.0.1:1080")
	t.Setenv("UMBRA_TEST_DOMAIN", "git.example")
	t.Setenv("UMBRA_TEST_SECRET", "secret-of-the-environment")
	for name, path := range map[string]string{
		"acl":     "testdata/explain/acl.toml",
		"example": "../../config.example.toml",
		"hops":    "testdata/explain/hops.toml",
		"names":   "testdata/explain/names.toml",
		"reuse":   "testdata/explain/reuse.toml",
		"tls":     "testdata/explain/tls.toml",
	} {
		t.Run(name, func(t *testing.T) {
			reg := &core.Registry{}
			plugins.Standard(reg)
			golden(t, name, explain(t, path, reg))
		})
	}
}

// golden compares a picture with the one in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata/explain", name+".want")
	if *updateExplain {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// explain returns the picture of a file after checking what all have in common.
func explain(t *testing.T, path string, reg *core.Registry) string {
	t.Helper()
	f, err := config.Load(path, reg)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := engine.Explain(&b, plan.Of(f)); err != nil {
		t.Fatal(err)
	}
	edge := 0 // where boxes end
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		width := utf8.RuneCountInString(line)
		boxed := strings.ContainsAny(line[:min(3, len(line))], "┌│└")
		switch {
		case width > 100:
			t.Errorf("%d characters in %q, want at most 100", width, line)
		case boxed && edge == 0:
			edge = width
		case boxed && width != edge:
			t.Errorf("%q ends in column %d, want %d", line, width, edge)
		case strings.TrimRight(line, " ") != line:
			t.Errorf("spaces at the end of %q", line)
		}
	}
	if strings.Contains(b.String(), "secret-of") {
		t.Errorf("got a secret:\n%s", b.String())
	}
	return b.String()
}

// manyOptions has an option of every type.
type manyOptions struct {
	_      core.About `help:"has an option of every type, and a help line that is too long for one line of a box"`
	Text   string     `toml:"text" help:"text"`
	Flag   bool       `toml:"flag" help:"flag"`
	Off    bool       `toml:"off" help:"flag"`
	Number int        `toml:"number" help:"number"`
	embedded
	Maybe   *option.Duration                 `toml:"maybe" help:"a duration or none"`
	None    *option.Duration                 `toml:"none" help:"a duration or none"`
	Hours   option.Duration                  `toml:"hours" help:"duration"`
	Ciphers map[string]core.Ref[core.Cipher] `toml:"ciphers" help:"ciphers by name"`
	Via     core.Ref[core.Outbound]          `toml:"via" help:"outbound"`
	Under   []core.Ref[core.Transport]       `toml:"under" help:"transports"`
	Rules   []struct{ rule }                 `toml:"rules" help:"rules"`
	Secrets map[string]option.Text           `toml:"secrets" help:"secrets"`
	Nested  map[string]map[string][]int      `toml:"nested" help:"nested"`
}

type embedded struct {
	Listen option.Listen `toml:"listen" help:"address"`
}

func (e embedded) Describe() core.Description {
	return core.Description{Listeners: []core.Listener{{Key: "listen", Addr: e.Listen.AddrPort()}}}
}

type rule struct {
	Name   string      `toml:"name" help:"name"`
	Secret option.Text `toml:"secret" help:"secret"`
}

func manyKinds() *core.Registry {
	reg := &core.Registry{}
	core.Add(&reg.Inbound, "in", noBuild[core.Inbound, embedded])
	core.Add(&reg.Policy, "many", noBuild[core.Policy, manyOptions])
	core.Add(&reg.Outbound, "out", noBuild[core.Outbound, struct{}])
	core.Add(&reg.Cipher, "xor", noBuild[core.Cipher, rule])
	core.Add(&reg.Transport, "tls", noBuild[core.Transport, rule])
	return reg
}

func noBuild[T, O any](core.Env, O) (T, error) {
	var none T
	return none, errors.New("not built in this test")
}

// TestExplainEveryType draws a gate, a middleware and options of all types.
func TestExplainEveryType(t *testing.T) {
	path := filepath.Join(t.TempDir(), "many.toml")
	err := os.WriteFile(path, []byte(`
[pipeline.p]
chain = ["policy.gate", "inbound.in", "policy.many", "outbound.out"]
dial_timeout = "1m30s"
[inbound.in]
listen = ":1"
[policy.gate]
kind = "many"
[policy.many]
text = "a\tb"
flag = true
number = -3
maybe = "90s"
hours = "2h"
ciphers = { b = "x", a = "xor" }
via = "out"
under = ["front", "tls"]
rules = [{ name = "one", secret = "secret-of-rule" }, { name = "two" }]
secrets = { alice = "secret-of-alice" }
nested = { q = { r = [1, 2] } }
[transport.front]
kind = "tls"
name = "n"
[transport.tls]
secret = "secret-of-tls"
[cipher.x]
kind = "xor"
[cipher.xor]
[outbound.out]
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "types", explain(t, path, manyKinds()))
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestExplainWriteError(t *testing.T) {
	text := "[pipeline.p]\nchain = [\"inbound.in\", \"outbound.out\"]\n[inbound.in]\n[outbound.out]\n"
	f, err := config.Parse("x", []byte(text), manyKinds())
	if err != nil {
		t.Fatal(err)
	}
	want := errors.New("disk full")
	if err := engine.Explain(failingWriter{want}, plan.Of(f)); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
