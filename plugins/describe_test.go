package plugins_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestDescriptions checks that the kinds that ship tell what their options hold.
func TestDescriptions(t *testing.T) {
	if err := config.CheckDescriptions(standard()); err != nil {
		t.Error(err)
	}
}

// describedFile has what the tables of TestDescribed stand on.
const describedFile = `
[pipeline.p]
chain = ["inbound.in", "outbound.out"]
[cipher.house]
kind = "2022-blake3-aes-128-gcm"
password = "Y2NjY2NjY2NjY2NjY2NjYw=="
[transport.front]
kind = "tls"
pin = ["sha256//HZ4nx2wP9UFk//u0Vr8qY5i9fhXRM0Hk325+rkyWyVU="]
[transport.ws]
kind = "websocket"
headers = { Cookie = "x" }
[outbound.inner]
kind = "block"
[rule.r]
ports = ["1"]
chain = ["outbound.inner"]
[inbound.in]
listen = "127.0.0.1:1"
%s
[outbound.out]
%s
`

// TestDescribed builds inbounds and outbounds of every kind, and compares what they
// do with what their options say.
func TestDescribed(t *testing.T) {
	reg := standard()
	in := map[string][]string{
		"relay":    {`mode = "tcp"`, `mode = "udp"`, `mode = "both"`, ``},
		"socks5":   {`mode = "tcp"`, `mode = "udp"`, `mode = "both"`, ``},
		"http":     {``, `users = { alice = "correct horse" }`, `transport = ["ws"]`},
		"mixed":    {`mode = "tcp"`, ``, "mode = \"tcp\"\ntransport = [\"ws\"]"},
		"redirect": {``, `tcp = "tproxy"`, `udp = "tproxy"`, "tcp = \"off\"\nudp = \"tproxy\""},
		"tunnel":   {`mode = "tcp"`, `mode = "udp"`, `mode = "both"`, ``, "mode = \"tcp\"\ntransport = [\"ws\"]"},
		"ss":       {`mode = "tcp"`, `mode = "udp"`, `mode = "both"`, `reject = "forward"` + "\n" + `decoy = "127.0.0.1:80"`, "mode = \"tcp\"\nudp_over_stream = true", "mode = \"tcp\"\ntransport = [\"ws\"]"},
	}
	out := map[string][]string{
		"block":  {``},
		"chain":  {`chain = ["outbound.inner"]`},
		"route":  {"rules = [\"r\"]\notherwise = [\"outbound.inner\"]"},
		"direct": {``, `proxy_protocol = 1`, `proxy_protocol = 2`},
		"http":   {``, `transport = ["front"]`, `headers = { User-Agent = "x" }`},
		"socks5": {``, `mode = "tcp"`, `mode = "udp"`, `transport = ["front"]`},
		"ss":     {``, `transport = ["front"]`, "transport = [\"front\"]\nudp = \"stream\"", `transport = ["front", "ws"]`},
		"ssh":    {``, `transport = ["front"]`},

		"balance":  {`members = ["inner"]`, "members = [\"inner\"]\nprobe = { target = \"www.example.org:443\" }"},
		"failover": {`members = ["inner"]`},
		"fastest":  {`members = ["inner"]`},
		"select":   {`members = ["inner"]`, "members = [\"inner\"]\nfirst = \"inner\""},
	}
	more := map[string]string{
		"inbound.relay":   "cipher = \"house\"\nnext = { a = { key = \"dG9reW8ncyBvd24ga2V5IQ==\", server = \"127.0.0.1:2\" } }\n",
		"inbound.tunnel":  "target = \"192.0.2.1:53\"\n",
		"inbound.ss":      "cipher = \"house\"\n",
		"outbound.http":   "server = \"127.0.0.1:2\"\n",
		"outbound.socks5": "server = \"127.0.0.1:2\"\n",
		"outbound.ssh":    strings.ReplaceAll(sshOptions, ":1\"", ":2\""),
		"outbound.ss":     "cipher = \"house\"\nserver = \"127.0.0.1:2\"\n",
	}
	table := func(section core.Section, kind, options string) string {
		return fmt.Sprintf("kind = %q\n%s%s", kind, more[string(section)+"."+kind], options)
	}
	direct, socks := table(core.SectionOutbound, "direct", ""), table(core.SectionInbound, "socks5", "")
	for _, kind := range reg.Inbound.Names() {
		if in[kind] == nil {
			t.Errorf("no inbound of kind %s in this test", kind)
		}
		for _, options := range in[kind] {
			t.Run("inbound."+kind+"/"+options, func(t *testing.T) {
				testDescribed(t, reg, fmt.Sprintf(describedFile, table(core.SectionInbound, kind, options), direct), core.SectionInbound, "in")
			})
		}
	}
	for _, kind := range reg.Outbound.Names() {
		if out[kind] == nil {
			t.Errorf("no outbound of kind %s in this test", kind)
		}
		for _, options := range out[kind] {
			t.Run("outbound."+kind+"/"+options, func(t *testing.T) {
				testDescribed(t, reg, fmt.Sprintf(describedFile, socks, table(core.SectionOutbound, kind, options)), core.SectionOutbound, "out")
			})
		}
	}
}

// testDescribed builds one component of a file and compares.
func testDescribed(t *testing.T, reg *core.Registry, text string, section core.Section, name string) {
	f, err := config.Parse("test.toml", []byte(text), reg)
	if err != nil {
		t.Fatal(err)
	}
	env := coretest.Env(t)
	house := f.Components[config.ID{Section: core.SectionCipher, Name: "house"}]
	front := f.Components[config.ID{Section: core.SectionTransport, Name: "front"}]
	cipher, err := build(t, &reg.Cipher, env, house)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := build(t, &reg.Transport, env, front)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := build(t, &reg.Transport, env, f.Components[config.ID{Section: core.SectionTransport, Name: "ws"}])
	if err != nil {
		t.Fatal(err)
	}
	var inner core.ChainStage
	if err := inner.UnmarshalText([]byte("outbound.inner")); err != nil {
		t.Fatal(err)
	}
	block, err := build(t, &reg.Outbound, env, f.Components[config.ID{Section: core.SectionOutbound, Name: "inner"}])
	if err != nil {
		t.Fatal(err)
	}
	graph := coretest.Graph{
		core.Ref[core.Cipher]("house"):    cipher,
		core.Ref[core.Transport]("front"): transport,
		core.Ref[core.Transport]("ws"):    ws,
		inner:                             block,
		core.Ref[core.Outbound]("inner"):  block,
	}
	env.Graph = graph
	if graph[core.Ref[core.Rule]("r")], err = build(t, &reg.Rule, env, f.Components[config.ID{Section: core.SectionRule, Name: "r"}]); err != nil {
		t.Fatal(err)
	}
	c := f.Components[config.ID{Section: section, Name: name}]
	var built any
	if section == core.SectionInbound {
		built, err = build(t, &reg.Inbound, env, c)
	} else {
		built, err = build(t, &reg.Outbound, env, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	wire := house.Description.Networks
	for _, n := range c.Description.Wire {
		if under, ok := f.Components[config.ID{Section: n.To.RefSection(), Name: n.To.RefName()}]; ok && !c.Description.InStreams {
			wire &= under.Description.Networks
		}
	}
	coretest.TestDescription(t, c.Description, wire, built)
}

func build[T any](t *testing.T, kinds *core.Kinds[T], env core.Env, c *config.Component) (T, error) {
	t.Helper()
	kind, ok := kinds.Lookup(c.Kind)
	if !ok {
		t.Fatalf("no kind %s", c.Kind)
	}
	return kind.New(env, c.Options)
}

// TestSecretsOfPlaces warns of the password of a store as of any other.
func TestSecretsOfPlaces(t *testing.T) {
	text := fmt.Sprintf(describedFile, `kind = "socks5"`, `kind = "direct"`) + "[policy.ban]\nstore = \"redis://:secret@redis.example:6379\"\n"
	f, err := config.Parse("test.toml", []byte(text), standard())
	if err != nil {
		t.Fatal(err)
	}
	d := f.Components[config.ID{Section: core.SectionPolicy, Name: "ban"}].Description
	if len(d.Secrets) != 1 || d.Secrets[0] != "store" || len(d.Servers) != 1 || d.Servers[0].Role != core.RoleSide {
		t.Errorf("got %+v, want a secret and a server under store", d)
	}
}
