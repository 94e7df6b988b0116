package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/plugins"
)

// groupFile is a failover of two servers, of which the first is down.
const groupFile = `
[pipeline.local]
chain = ["inbound.relay", "outbound.exit"]
[inbound.relay]
kind = "socks5"
listen = %q
mode = "tcp"
[outbound.exit]
kind = "failover"
members = ["down", "direct"]
[outbound.down]
kind = "ss"
server = %q
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.house]
kind = "aes-256-gcm"
password = "correct horse battery staple"
`

// TestGroupOverReload has a member go out: it is still out after a reload that leaves its
// tables alone, and in again after one that changes what it names.
func TestGroupOverReload(t *testing.T) {
	reg := new(core.Registry)
	plugins.Standard(reg)
	at, down := coretest.FreeAddr(t), coretest.FreeAddr(t)
	coretest.Refusing(t, down)
	text := fmt.Sprintf(groupFile, at, down)
	e := engine.New(reg, slog.New(slog.DiscardHandler))
	load := func(text string, by func(context.Context, *config.File) error) {
		t.Helper()
		f, err := config.Parse("a.toml", []byte(text), reg)
		if err == nil {
			err = by(t.Context(), f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		t.Helper()
		answer, err := e.Command(t.Context(), config.ID{Section: core.SectionOutbound, Name: "exit"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(strings.Split(fmt.Sprint(answer), "\n")[1])[1]
	}
	load(text, e.Start)
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	for range 3 {
		connectTo(t, at, target)
	}
	if got := state(); got != "out" {
		t.Fatalf("after three failures: got %s", got)
	}
	load(strings.Replace(text, "kind = \"failover\"", "kind = \"failover\"\nfall = 4", 1), e.Reload)
	if got := state(); got != "out" {
		t.Errorf("after a reload of the group alone: got %s", got)
	}
	load(strings.Replace(text, "horse", "house", 1), e.Reload)
	if got := state(); got != "in" {
		t.Errorf("after a reload with another password: got %s", got)
	}
}

// connectTo sends something to a target by SOCKS5, and waits until that is there.
func connectTo(t *testing.T, proxy netip.AddrPort, target net.Listener) {
	t.Helper()
	c, err := net.Dial("tcp", proxy.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	port := target.Addr().(*net.TCPAddr).Port
	_, _ = c.Write([]byte{5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, byte(port >> 8), byte(port)})
	reply := make([]byte, 12)
	if _, err := io.ReadFull(c, reply); err != nil || reply[3] != 0 {
		t.Fatalf("got % x, %v", reply, err)
	}
	_, _ = c.Write([]byte("hello"))
	reached, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	reached.Close()
}

// TestGroupMistakes has a mistake of each sort in a group: it is placed at the element that
// has it.
func TestGroupMistakes(t *testing.T) {
	const more = "[outbound.exit]\nkind = \"failover\"\n%s\n[outbound.plain]\nkind = \"direct\"\nproxy_protocol = 1\n" +
		"[outbound.far]\nkind = \"ss\"\nserver = \"192.0.2.1:1\"\ncipher = \"c\"\n[cipher.c]\nkind = \"aes-128-gcm\"\npassword = \"correct horse battery staple\"\n" +
		"[rule.home]\nports = [\"80\"]\nchain = [%s]\n"
	for _, tc := range []struct{ name, group, chain, want string }{
		{"fine", `members = ["direct", "far"]`, "", ""},
		{"empty", `members = []`, "", "outbound.exit.members: empty; name the outbounds to choose among"},
		{"left out", ``, "", "outbound.exit.members: missing"},
		{"unknown", `members = ["direct", "fare"]`, "", "outbound.exit.members: no [outbound.fare] in this file; did you mean far?"},
		{"twice", `members = ["direct", "far", "direct"]`, "", "a.toml:14:29: outbound.exit.members: outbound.direct stands twice"},
		{"itself", `members = ["direct", "exit"]`, "", "a cycle of references: outbound.exit -> outbound.exit"},
		{"no UDP", `members = ["direct", "plain"]`, "", `outbound.exit.members: outbound.plain carries no UDP with proxy_protocol, and inbound.socks5 serves UDP; set networks = ["tcp"] in the rules that lead here, or mode = "tcp" in [inbound.socks5]`},
		{"behind a hop", `members = ["far", "direct"]`, `"outbound.far", "outbound.exit"`, "outbound.exit.members: outbound.direct can only be the first hop of a chain"},
		{"probe", "members = [\"far\"]\nprobe = { every = \"1m\" }", "", "outbound.exit.probe.target: missing"},
		{"bounds", "members = [\"far\"]\nattempts = 0", "", "outbound.exit.attempts: "},
		{"all_down", "members = [\"far\"]\nall_down = \"direct\"", "", "outbound.exit.all_down: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			chain := tc.chain
			if chain == "" {
				chain = `"outbound.exit"`
			}
			got := mistakesOf(t, branchFile("", "rules = [\"home\"]\notherwise = [\"outbound.direct\"]", fmt.Sprintf(more, tc.group, chain)))
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) || strings.Count(got, "\n") > 0 {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
