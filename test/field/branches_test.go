package field

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// branches is a local side that sends corp.test and one echo server through a Shadowsocks
// server, refuses ads.test, and reaches the rest itself.
func branches(t testing.TB, rules string) (socks int, server, local *peer.Process, path string) {
	t.Helper()
	ss := peer.FreePort(t)
	server = run(t, fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "resolver.far", "outbound.direct"]
[inbound.ss]
listen = "127.0.0.1:%d"
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
[resolver.far]
kind = "hosts"
names = { "corp.test" = ["127.0.0.1"], "git.corp.test" = ["127.0.0.1"] }
[cipher.house]
kind = "aes-128-gcm"
password = "correct horse battery staple"
[log]
level = "debug"
`, ss), ss)
	socks = peer.FreePort(t)
	path = filepath.Join(t.TempDir(), "umbra.toml")
	writeBranches(t, path, socks, ss, rules)
	local = runAt(t, path, nil, socks)
	local.WaitOutput(t, "umbra started") // the socket is opened last
	return socks, server, local, path
}

func writeBranches(t testing.TB, path string, socks, ss int, rules string) {
	t.Helper()
	text := fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.split"]
[inbound.socks5]
listen = "127.0.0.1:%d"
[outbound.split]
kind = "route"
rules = ["ads", "office"]
otherwise = ["resolver.near", "outbound.direct"]
resolver = "near"
[rule.ads]
targets = ["ads.test"]
chain = ["outbound.nowhere"]
[outbound.nowhere]
kind = "block"
[outbound.far]
kind = "ss"
server = "127.0.0.1:%d"
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
[resolver.near]
kind = "hosts"
names = { "near.test" = ["127.0.0.1"], "lab.test" = ["127.66.0.1"] }
[cipher.house]
kind = "aes-128-gcm"
password = "correct horse battery staple"
[admin]
socket = %q
[log]
level = "debug"
%s`, socks, ss, path+".sock", rules)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// office is the rule for what goes through the server.
func office(port int, more string) string {
	return fmt.Sprintf("[rule.office]\ntargets = [\"corp.test\"%s]\nports = [\"%d\"]\nchain = [\"outbound.far\"]\n", more, port)
}

// TestRoute asks for targets of each branch, by curl and by hand: the log of the server tells
// what came by it.
func TestRoute(t *testing.T) {
	t.Parallel()
	echo := listenEcho(t)
	socks, server, local, path := branches(t, office(echo, ""))
	for _, tc := range []struct {
		target  string
		rep     byte
		through bool // the server
	}{
		{fmt.Sprintf("git.corp.test:%d", echo), 0, true},
		{fmt.Sprintf("near.test:%d", echo), 0, false},
		{fmt.Sprintf("127.0.0.1:%d", echo), 0, false},
		{fmt.Sprintf("x.ads.test:%d", echo), 2, false},
		{"corp.test:1", 4, false}, // another port: looked up here, and not found
	} {
		before := strings.Count(server.Output(), "stream closed")
		c, rep := dialSOCKS(t, socks, 1, tc.target)
		if rep != tc.rep {
			t.Errorf("%s: got reply %d, want %d", tc.target, rep, tc.rep)
			continue
		}
		if rep != 0 {
			continue
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := c.Read(got); err != nil || string(got) != "hello" {
			t.Errorf("%s: got %q, %v", tc.target, got, err)
		}
		c.Close()
		if tc.through {
			server.WaitOutput(t, tc.target)
		}
		if !tc.through && strings.Count(server.Output(), "stream closed") != before && strings.Contains(server.Output(), tc.target) {
			t.Errorf("%s came by the server", tc.target)
		}
	}
	local.WaitOutput(t, "rule.ads: denied")
	for target, want := range map[string]string{
		fmt.Sprintf("git.corp.test:%d", echo): "rule.office  YES", fmt.Sprintf("near.test:%d", echo): "otherwise    YES", "x.ads.test:1": "rule.ads     YES",
	} {
		if out, status := command(t, "route", "--running", path, "127.0.0.1", target); status != 0 || !strings.Contains(out, want) {
			t.Errorf("umbra route %s: got status %d and\n%s\nwant %s", target, status, out, want)
		}
	}
}

// TestRouteRange has a rule with a range decide by the addresses of a name.
func TestRouteRange(t *testing.T) {
	t.Parallel()
	echo := listenEcho(t)
	socks, server, _, _ := branches(t, strings.Replace(office(echo, ""), `"corp.test"`, `"127.66.0.0/16"`, 1))
	// The server does not know the name, so its reply tells that the request came there
	// under its name.
	if c, _ := dialSOCKS(t, socks, 1, fmt.Sprintf("lab.test:%d", echo)); c != nil {
		_, _ = c.Write([]byte("x"))
	}
	server.WaitOutput(t, fmt.Sprintf("lab.test:%d", echo))
}

// TestRouteUDP has one association use both branches at once, and a third one that refuses.
func TestRouteUDP(t *testing.T) {
	t.Parallel()
	far, near := listenPacketEcho(t), listenPacketEcho(t)
	socks, server, local, _ := branches(t, office(int(far.Port()), `, "127.0.0.0/8"`))
	relay := associate(t, socks)
	for range 3 {
		talk(t, relay, far)
		talk(t, relay, near)
	}
	ads, err := core.NewAddr("x.ads.test", far.Port())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Write(append(socksaddr.Append([]byte{0, 0, 0}, ads), "hello"...)); err != nil {
		t.Fatal(err)
	}
	talk(t, relay, near)
	// A name is found at the far end, and sent to it as a name.
	corp, err := core.NewAddr("corp.test", far.Port())
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for until := time.Now().Add(patience); !named && time.Now().Before(until); {
		if _, err := relay.Write(append(socksaddr.Append([]byte{0, 0, 0}, corp), "by name"...)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2000)
		_ = relay.SetReadDeadline(time.Now().Add(time.Second))
		n, err := relay.Read(buf)
		named = err == nil && bytes.HasSuffix(buf[:n], []byte("by name"))
	}
	if !named {
		t.Error("a datagram to a name of the far end got no answer")
	}
	local.WaitOutput(t, "reason=denied")
	server.Signal(t, syscall.SIGTERM)
	server.WaitOutput(t, "association closed")
}

// TestRouteReload moves a target to another branch while a stream to it runs.
func TestRouteReload(t *testing.T) {
	t.Parallel()
	echo := listenEcho(t)
	socks, _, local, path := branches(t, office(echo, ""))
	target := fmt.Sprintf("corp.test:%d", echo)
	held, rep := dialSOCKS(t, socks, 1, target)
	if rep != 0 {
		t.Fatalf("got reply %d", rep)
	}
	speak := func() {
		t.Helper()
		got := make([]byte, 5)
		if _, err := held.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := held.Read(got); err != nil || string(got) != "hello" {
			t.Fatalf("the stream that runs: got %q, %v", got, err)
		}
	}
	speak()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(string(text), `chain = ["outbound.far"]`, `chain = ["outbound.nowhere"]`, 1)
	if err := os.WriteFile(path, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	local.Signal(t, syscall.SIGHUP)
	local.WaitOutput(t, "generation=2")
	if _, rep := dialSOCKS(t, socks, 1, target); rep != 2 {
		t.Errorf("a new stream: got reply %d, want 2", rep)
	}
	speak()
}

// TestManyRules has ten thousand rules, the last of which decides.
func TestManyRules(t *testing.T) {
	t.Parallel()
	const n = 10_000
	echo, port := listenEcho(t), peer.FreePort(t)
	var b strings.Builder
	fmt.Fprintf(&b, "[pipeline.p]\nchain = [\"inbound.socks5\", \"outbound.split\"]\n[inbound.socks5]\nlisten = \"127.0.0.1:%d\"\n", port)
	b.WriteString("[outbound.direct]\nallow = [\"127.0.0.0/8\"]\n[outbound.nowhere]\nkind = \"block\"\n[outbound.split]\nkind = \"route\"\notherwise = [\"outbound.direct\"]\nrules = [\"r0\"")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, ", \"r%d\"", i)
	}
	b.WriteString("]\n")
	for i := range n {
		fmt.Fprintf(&b, "[rule.r%d]\ntargets = [\"name%d.test\"]\nchain = [\"outbound.nowhere\"]\n", i, i)
	}
	run(t, b.String(), port)
	if _, rep := dialSOCKS(t, port, 1, fmt.Sprintf("name%d.test:1", n-1)); rep != 2 {
		t.Errorf("the last rule: got reply %d, want 2", rep)
	}
	if _, rep := dialSOCKS(t, port, 1, fmt.Sprintf("127.0.0.1:%d", echo)); rep != 0 {
		t.Errorf("no rule: got reply %d, want 0", rep)
	}
}
