package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// aclFile is a SOCKS5 side with a policy before the target. lines are added to the table of
// the policy.
func aclFile(port int, lines string) string {
	return fmt.Sprintf(`
[log]
level = "debug"
[pipeline.local]
chain = ["inbound.socks5", "policy.acl", "outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
allow = ["127.0.0.0/8"]
[resolver.names]
kind = "hosts"
names = { "web.test" = ["127.0.0.1"], "rebound.test" = ["127.0.0.2"] }
[policy.acl]
resolver = "names"
%s
`, peer.Addr(port), lines)
}

// TestACL fetches a page with curl while the list of targets, a file, changes.
func TestACL(t *testing.T) {
	list := write(t, "bad.txt", "# nobody\n")
	port := peer.FreePort(t)
	umbra := run(t, aclFile(port, fmt.Sprintf("deny_targets = [\"127.0.0.2\", %q]\ndeny_ports = [\"1-79\"]", "file:"+list)), port)
	w := newWeb(t)
	_, webPort, err := net.SplitHostPort(w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	get := func(target string) error {
		_, err := curl(t, port, "http://"+target+"/file/1000")
		return err
	}
	expect := func(target string, denied bool) {
		t.Helper()
		out, err := curl(t, port, "http://"+target+"/file/1000")
		if (err != nil) != denied || denied && !strings.Contains(out, "(2)") { // the reply code in curl's output
			t.Errorf("%s: got %.200q, %v, want denied %t", target, out, err, denied)
		}
	}
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect("127.0.0.1:"+webPort, false)
	expect("web.test:"+webPort, false)
	expect("127.0.0.2:"+webPort, true)
	expect("rebound.test:"+webPort, true)
	expect("web.test:25", true)
	save("0.0.0.0 web.test\n")
	await(t, "the list to deny", func() bool { return get("web.test:"+webPort) != nil })
	expect("WEB.test.:"+webPort, true)
	expect("127.0.0.1:"+webPort, false)
	save("web.test\nno name\n")
	umbra.WaitOutput(t, "bad.txt:2: ")
	expect("web.test:"+webPort, true)
	save("other.test\n")
	await(t, "the list to allow", func() bool { return get("web.test:"+webPort) == nil })
	umbra.WaitOutput(t, "policy.acl: target domain:web.test")
}

// TestACLPackets queries two DNS servers with dig, one of which is denied.
func TestACLPackets(t *testing.T) {
	dns := peer.DNSServer(t, "host-record=one.test,192.0.2.7\n")
	for _, tc := range []struct {
		name, lines string
		answers     bool
	}{
		{"allowed", fmt.Sprintf("default = \"deny\"\nallow_targets = [\"127.0.0.1\"]\nallow_ports = [\"%d\"]", dns), true},
		{"denied", `deny_targets = ["127.0.0.0/8"]`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			port := peer.FreePort(t)
			umbra := run(t, aclFile(port, tc.lines), port)
			out, err := exec.CommandContext(t.Context(), peer.Need(t, "dig"), "@127.0.0.1", "-p", strconv.Itoa(forward(t, port, dns)),
				"+short", "+tries=1", "+time="+map[bool]string{true: "30", false: "1"}[tc.answers], "one.test", "A").CombinedOutput()
			if (err == nil) != tc.answers || tc.answers && strings.TrimSpace(string(out)) != "192.0.2.7" {
				t.Errorf("got %q, %v, want an answer: %t", out, err, tc.answers)
			}
			if !tc.answers {
				umbra.WaitOutput(t, `reason="target 127.0.0.0/8"`)
			}
			if denied := strings.Contains(umbra.Output(), `reason="target 127.0.0.0/8"`); denied == tc.answers {
				t.Errorf("the log contains a denied datagram: %t, want %t:\n%s", denied, !tc.answers, umbra.Output())
			}
		})
	}
}
