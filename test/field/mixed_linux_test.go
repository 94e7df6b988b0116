package field

import (
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestMixed has curl speak all that it can on one port: plain HTTP, CONNECT, SOCKS4, 4a and 5.
func TestMixed(t *testing.T) {
	t.Parallel()
	port, closed := peer.FreePort(t), peer.FreePort(t)
	site := origin(t)
	at, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	file := func(port int, more string) string {
		return strings.Replace(httpFile(port, more), "inbound.http", "inbound.mixed", 2)
	}
	run(t, file(port, ""), port)
	run(t, file(closed, `users = { alice = "a long password" }`), closed)
	curl := func(args ...string) (string, error) {
		out, err := exec.Command(peer.Need(t, "curl"), append([]string{"--silent", "--show-error", "--max-time", "60", "--noproxy", "", "--data", "hello"}, args...)...).CombinedOutput()
		return string(out), err
	}
	local := "http://localhost:" + at.Port() + "/echo"
	for _, how := range []string{"http", "socks4", "socks4a", "socks5", "socks5h"} {
		for _, more := range [][]string{nil, {"--proxytunnel"}} {
			args := append([]string{"--ipv4", "--proxy", fmt.Sprintf("%s://%s", how, peer.Addr(port)), local}, more...)
			if got, err := curl(args...); got != "hello" || err != nil {
				t.Errorf("%s %v: got %q, %v", how, more, got, err)
			}
		}
		who := "alice:a%20long%20password@"
		got, err := curl("--ipv4", "--fail", "--proxy", fmt.Sprintf("%s://%s%s", how, who, peer.Addr(closed)), local)
		if isFour := strings.HasPrefix(how, "socks4"); (err == nil && got == "hello") == isFour {
			t.Errorf("%s with a password: got %q, %v", how, got, err)
		}
		if got, err := curl("--ipv4", "--fail", "--proxy", fmt.Sprintf("%s://%s", how, peer.Addr(closed)), local); err == nil {
			t.Errorf("%s without a password: got %q", how, got)
		}
	}
	if got := sendThrough(t, peer.Addr(port), echoUDP(t), "hello"); got != "hello" {
		t.Errorf("UDP: got %q", got)
	}
}
