package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/plugins"
)

var update = flag.Bool("update-plan", false, "write testdata/*.json")

func parse(t *testing.T, text string) *config.File {
	t.Helper()
	reg := &core.Registry{}
	plugins.Standard(reg)
	f, err := config.Parse("test.toml", []byte(text), reg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestExample compares the plan of config.example.toml with a golden file.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := plan.Of(parse(t, string(text))).WriteJSON(&got); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/example.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
	}
	again := new(plan.Plan)
	if err := json.Unmarshal(want, again); err != nil {
		t.Fatal(err)
	}
	if second := plan.Of(parse(t, string(text))); !reflect.DeepEqual(again, second) {
		t.Error("the JSON does not hold the whole plan")
	}
}

// TestPage holds docs/plan.md to the types: it has a line for each key, and none more.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		told[m[1]] = true
	}
	keys := map[string]bool{}
	var collect func(t reflect.Type)
	collect = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if keys[key] && t.Field(i).Type == reflect.TypeFor[[]plan.Stage]() {
				continue // a branch holds stages
			}
			if key != "" {
				keys[key] = true
			}
			collect(t.Field(i).Type)
		}
	}
	collect(reflect.TypeFor[plan.Plan]())
	for key := range keys {
		if !regexp.MustCompile(`^[a-z_]+$`).MatchString(key) {
			t.Errorf("the key %q is not in lower_snake_case", key)
		}
		if !told[key] {
			t.Errorf("docs/plan.md has no line for %s", key)
		}
	}
	for key := range told {
		if !keys[key] {
			t.Errorf("docs/plan.md has %s, which is in no plan", key)
		}
	}
}

// manySecrets is a file with every kind of secret.
const manySecrets = `
[pipeline.p]
chain = ["policy.ban", "inbound.relay", "outbound.paris"]
[pipeline.q]
chain = ["inbound.socks5", "outbound.paris"]
[policy.ban]
store = "rediss://:hunter2@redis.example:6380/1"
[inbound.socks5]
listen = ":1080"
mode = "tcp"
users = { "a.b" = "hunter2" }
[inbound.relay]
listen = "127.0.0.1:8389"
cipher = "team"
reject = "forward"
decoy = "decoy.example:80"
next = { "tokyo.1" = { key = "hunter2", server = "tokyo.example:8388" } }
[outbound.paris]
kind = "ss"
server = "paris.example:8388"
cipher = "team"
transport = ["front"]
[transport.front]
kind = "tls"
[cipher.team]
kind = "2022-blake3-aes-256-gcm"
password = "hunter2"
users = { alice = "hunter2" }
`

func TestNoSecrets(t *testing.T) {
	var b strings.Builder
	if err := plan.Of(parse(t, manySecrets)).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("got a secret:\n%s", b.String())
	}
}

func TestComponents(t *testing.T) {
	p := plan.Of(parse(t, manySecrets))
	relay, socks, paris := p.Components["inbound.relay"], p.Components["inbound.socks5"], p.Components["outbound.paris"]
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"listeners", socks.Listeners, []plan.Listener{{Key: "listen.0", Address: ":1080", Networks: []string{"tcp"}}}},
		{"secrets of users", socks.Secrets, []string{`users."a.b"`}},
		{"secrets of a relay", relay.Secrets, []string{`next."tokyo.1".key`}},
		{"secrets of a cipher", p.Components["cipher.team"].Secrets, []string{"password", "users.alice"}},
		{"secret of a store", p.Components["policy.ban"].Secrets, []string{"store"}},
		{"servers of a relay", relay.Servers, []plan.Server{
			{Key: `next."tokyo.1".server`, Role: "target", Address: "tokyo.example:8388"},
			{Key: "decoy", Role: "side", Address: "decoy.example:80"},
		}},
		{"networks over a transport", paris.Networks, []string{"tcp"}},
		{"references", paris.References, []plan.Reference{
			{Key: "transport.0", Component: "transport.front", Use: plan.UseWire},
			{Key: "cipher", Component: "cipher.team", Use: plan.UseWire},
		}},
		{"names", p.Pipelines[0].Names, []plan.Name{
			{Of: plan.NameTargets, Finder: plan.Finder{By: plan.ByServer, Component: "outbound.paris", Text: "the server of outbound.paris, which is sent the names"}},
			{Of: plan.NameServer, Name: "paris.example", Finder: system},
			{Of: plan.NameServer, Name: "redis.example", Finder: system},
			{Of: plan.NameServer, Name: "tokyo.example", Finder: plan.Finder{By: plan.ByServer, Component: "outbound.paris", Text: "the server of outbound.paris"}},
			{Of: plan.NameServer, Name: "decoy.example", Finder: system},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !reflect.DeepEqual(tc.got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", tc.got, tc.want)
			}
		})
	}
}

var system = plan.Finder{By: plan.BySystem, Text: "the operating system's resolver, on this machine"}

// group are the options of an outbound with branches.
type group struct {
	Members []core.Ref[core.Outbound] `toml:"members" help:"outbounds"`
}

func (g group) Describe() core.Description {
	var d core.Description
	for _, n := range core.NamedList("members", g.Members) {
		d.Branches = append(d.Branches, core.Branch{Label: n.To.RefName(), Chain: []core.Named{n}})
	}
	return d
}

// TestNamesThroughBranches finds names that are dialled through a group.
func TestNamesThroughBranches(t *testing.T) {
	reg := &core.Registry{}
	plugins.Standard(reg)
	core.Add(&reg.Outbound, "group", noBuild[core.Outbound, group])
	f, err := config.Parse("test.toml", []byte(`
[pipeline.p]
chain = ["inbound.socks5", "resolver.dns", "outbound.exit", "outbound.lima"]
[inbound.socks5]
listen = ":1"
[resolver.dns]
servers = ["tls://dns.example", "tls://fixed.example"]
bootstrap = { "Fixed.example" = ["192.0.2.1"] }
via = "same"
[outbound.exit]
kind = "group"
members = ["paris", "direct"]
[outbound.same]
kind = "group"
members = ["paris"]
[outbound.direct]
[outbound.paris]
kind = "ss"
server = "paris.example:1"
cipher = "house"
[outbound.lima]
kind = "ss"
server = "lima.example:1"
cipher = "house"
[cipher.house]
kind = "aes-256-gcm"
password_env = "HOUSE"
`), reg)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range plan.Of(f).Pipelines[0].Names {
		got = append(got, string(n.Of)+" "+n.Name+" "+string(n.By)+" "+n.Component)
	}
	want := []string{
		"targets  resolver resolver.dns",
		"server paris.example system ",
		"server lima.example branch outbound.exit",
		"server dns.example server outbound.paris",
		"server fixed.example file ",
		"server paris.example system ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// undescribed are the options of a kind that says nothing.
type undescribed struct {
	Server   option.Server           `toml:"server" help:"server"`
	Resolver core.Ref[core.Resolver] `toml:"resolver" help:"resolver"`
}

// loop are those of one that has itself as a branch, though no option says so.
type loop struct{}

func (loop) Describe() core.Description {
	again := core.Named{Key: "members.0", To: core.Ref[core.Outbound]("again")}
	return core.Description{Branches: []core.Branch{{Label: "again", Chain: []core.Named{again}}}}
}

func noBuild[T, O any](core.Env, O) (T, error) { panic("not built in this test") }

// TestOtherKinds has the plan of kinds that do not say what they do, or nonsense.
func TestOtherKinds(t *testing.T) {
	reg := &core.Registry{}
	plugins.Standard(reg)
	core.Add(&reg.Outbound, "undescribed", noBuild[core.Outbound, undescribed])
	core.Add(&reg.Outbound, "loop", noBuild[core.Outbound, loop])
	f, err := config.Parse("test.toml", []byte(`
[pipeline.p]
chain = ["inbound.socks5", "outbound.undescribed"]
[pipeline.q]
chain = ["inbound.other", "outbound.again"]
[inbound.socks5]
listen = ":1"
[inbound.other]
kind = "socks5"
listen = ":2"
[outbound.undescribed]
server = "paris.example:1"
resolver = "system"
[outbound.again]
kind = "loop"
[resolver.system]
`), reg)
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Of(f)
	c := p.Components["outbound.undescribed"]
	if len(c.Options) != 2 || len(c.Networks) != 0 || c.Servers != nil || c.Secrets != nil {
		t.Errorf("got %+v, want two options alone", c)
	}
	if want := []plan.Reference{{Component: "resolver.system"}}; !reflect.DeepEqual(c.References, want) {
		t.Errorf("references: got %+v, want %+v", c.References, want)
	}
	for i, want := range []string{"not known: outbound.undescribed is of a kind that does not say", "not known: no outbound"} {
		if got := p.Pipelines[i].Names[0].Finder; got.By != plan.ByUnknown || got.Text != want {
			t.Errorf("got %+v, want unknown, %s", got, want)
		}
	}
}

// TestOrigins tells where values are from.
func TestOrigins(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("UMBRA_TEST_SERVER", "paris.example:8388")
	for name, text := range map[string]string{
		"main.toml": `
process.include = ["team.toml"]
[pipeline.local]
chain = ["inbound.socks5", "outbound.tokyo"]
idle_timeout = { env = "UMBRA_TEST_UNSET", default = "1m" }
[inbound.socks5]
listen = "127.0.0.1:1080"
[outbound.tokyo]
like = "paris"
first_payload_wait = "20ms"
`,
		"team.toml": `
[outbound.paris]
kind = "ss"
server = { env = "UMBRA_TEST_SERVER" }
cipher = "house"
[cipher.house]
kind = "aes-256-gcm"
password = { env = "UMBRA_TEST_UNSET", default = "a secret" }
[pipeline.team]
chain = ["inbound.team", "outbound.paris"]
[inbound.team]
like = "socks5"
listen = "127.0.0.1:1081"
`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reg := &core.Registry{}
	plugins.Standard(reg)
	f, err := config.Load("main.toml", reg)
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Of(f)
	paris := []plan.Variable{{Name: "UMBRA_TEST_SERVER"}}
	unset := []plan.Variable{{Name: "UMBRA_TEST_UNSET", Default: true}}
	for _, tc := range []struct {
		id, file string
		want     []plan.Option // of each the key and the origin
	}{
		{"outbound.tokyo", "", []plan.Option{{Key: "server", Like: "outbound.paris", File: "team.toml", Env: paris}, {Key: "cipher", Like: "outbound.paris", File: "team.toml"}, {Key: "first_payload_wait"}}},
		{"outbound.paris", "team.toml", []plan.Option{{Key: "server", Env: paris}, {Key: "cipher"}}},
		{"cipher.house", "team.toml", []plan.Option{{Key: "password", Env: unset}}},
		{"inbound.team", "team.toml", []plan.Option{{Key: "listen"}}},
	} {
		c := p.Components[tc.id]
		if c.File != tc.file {
			t.Errorf("%s: got the file %q, want %q", tc.id, c.File, tc.file)
		}
		for _, want := range tc.want {
			i := slices.IndexFunc(c.Options, func(o plan.Option) bool { return o.Key == want.Key })
			if i < 0 {
				t.Errorf("%s: got no %s", tc.id, want.Key)
				continue
			}
			want.Value, want.References = c.Options[i].Value, c.Options[i].References
			if !reflect.DeepEqual(c.Options[i], want) {
				t.Errorf("%s: got %+v, want %+v", tc.id, c.Options[i], want)
			}
		}
	}
	if o := p.Pipelines[0].Options[0]; p.Pipelines[0].File != "" || p.Pipelines[1].File != "team.toml" || o.Value != "1m" || !reflect.DeepEqual(o.Env, unset) {
		t.Errorf("got the pipelines %+v and %+v", p.Pipelines[0], p.Pipelines[1])
	}
}
