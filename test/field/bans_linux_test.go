package field

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// banServer is a server that bans for a long time.
const banServer = `
[pipeline.server]
chain = ["policy.ban", "inbound.ss", "outbound.direct"]
[policy.ban]
kernel = %t
exempt_loopback = false
[inbound.ss]
listen = ":%d"
cipher = "house"
handshake_timeout = "1s"
[cipher.house]
kind = "chacha20-ietf-poly1305"
password = "sesame"
[outbound.direct]
`

// from connects from an address of the loopback interface to itself.
func from(address string, port int) (net.Conn, error) {
	d := net.Dialer{Timeout: 500 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return d.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(port)))
}

func reaches(address string, port int) bool {
	c, err := from(address, port)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// send sends bytes from an address and waits for the server's end.
func send(t *testing.T, address string, port int, bytes string) {
	t.Helper()
	c, err := from(address, port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.Copy(io.Discard, c) // a ban may come first
}

var junk = strings.Repeat("\xff", 221)

// TestFirewallFlushed deletes the rules of all programs under policy.ban, as the reload of a
// firewall does: bans are put back without a reload or a further ban, and the log has one line.
func TestFirewallFlushed(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	const banned, other = "198.51.100.7", "198.51.100.8"
	peer.AddAddress(t, banned)
	peer.AddAddress(t, other)
	port := peer.FreePort(t)
	umbra := run(t, fmt.Sprintf(banServer, true, port), port)
	for range 3 {
		send(t, banned, port, junk)
	}
	umbra.Until(t, "ban", func() bool { return !reaches(banned, port) })
	for range 2 {
		peer.Command(t, "nft", "flush", "ruleset")
		umbra.Until(t, "put the ban back", func() bool { return !reaches(banned, port) })
	}
	for range 3 { // a further ban, just after the rules have gone
		send(t, other, port, junk)
		peer.Command(t, "nft", "flush", "ruleset")
	}
	umbra.Until(t, "ban", func() bool { return !reaches(other, port) && !reaches(banned, port) })
	if !reaches("127.0.0.1", port) {
		t.Error("another client is kept out")
	}
	for text, want := range map[string]int{"kernel bans put back": 1, "ERROR": 0, "netlink": 0} {
		if got := strings.Count(umbra.Output(), text); got != want {
			t.Errorf("the log has %q %d times, want %d:\n%s", text, got, want, umbra.Output())
		}
	}
}

// TestFirewallFlushedAutoban is the same for umbra autoban.
func TestFirewallFlushedAutoban(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	const banned = "198.51.100.7"
	peer.AddAddress(t, banned)
	ln, err := net.Listen("tcp", net.JoinHostPort(banned, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	port := ln.Addr().(*net.TCPAddr).Port
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	line := "2026-11-25 17:20:25 ERROR    can not parse header when handling connection from " + banned + ":4711\n"
	if err := os.WriteFile(log, []byte(strings.Repeat(line, 3)), 0o600); err != nil {
		t.Fatal(err)
	}
	autoban := peer.Start(t, []string{asUmbra + "=1"}, "sh", "-c", fmt.Sprintf("exec %q autoban --duration 1h < %q", self, log))
	autoban.WaitOutput(t, "ban "+banned)
	for range 3 {
		peer.Command(t, "nft", "flush", "ruleset")
		autoban.Until(t, "put the ban back", func() bool {
			out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
			return err == nil && strings.Contains(string(out), banned)
		})
	}
	if reaches(banned, port) {
		t.Error("the banned client gets through")
	}
	if got := strings.Count(autoban.Output(), "bans put back"); got != 1 {
		t.Errorf("got %d lines about bans that were put back, want 1:\n%s", got, autoban.Output())
	}
}

// TestConnectCheck has a monitor connect without a byte: neither policy.ban nor umbra autoban
// counts that, at any inbound. A client that sends too few bytes counts for a tenth.
func TestConnectCheck(t *testing.T) {
	t.Parallel()
	port, socks := peer.FreePort(t), peer.FreePort(t)
	umbra := run(t, fmt.Sprintf(banServer, false, port)+fmt.Sprintf(`
[pipeline.local]
chain = ["policy.ban", "inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = "127.0.0.1:%d"
users = { alice = "sesame" }
`, socks), port, socks)
	monitor := func(address string, port, resetAt int) {
		for i := range 60 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
			c, err := d.Dial("tcp", peer.Addr(port))
			if err != nil {
				t.Fatal(err)
			}
			if i >= resetAt {
				_ = c.(*net.TCPConn).SetLinger(0) // as haproxy ends its checks
			}
			c.Close()
		}
	}
	monitor("127.0.0.2", port, 30)
	monitor("127.0.0.2", socks, 30)
	for range 30 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.3")}}
		c, err := d.Dial("tcp", peer.Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "abc")
		_ = c.(*net.TCPConn).CloseWrite()
		defer c.Close()
	}
	umbra.WaitOutput(t, "banned policy=ban client=127.0.0.3")
	for text, want := range map[string]bool{"client=127.0.0.2": false, "from 127.0.0.2": false, `failures="short 30"`: true, "add it to exempt": true} {
		if got := strings.Contains(umbra.Output(), text); got != want {
			t.Errorf("the log has %q: got %t, want %t, in\n%s", text, got, want, umbra.Output())
		}
	}
}
