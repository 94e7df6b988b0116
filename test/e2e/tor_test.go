package e2e

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestTorIsolation has Tor say by which login each stream came: one for each target host,
// so that it takes other circuits. This Tor knows one bridge, on a closed port, and reaches
// no network.
func TestTorIsolation(t *testing.T) {
	t.Parallel()
	socks, control, proxy := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	torrc := write(t, "torrc", fmt.Sprintf("SocksPort %s\nControlPort %s\nDataDirectory %s\nUseBridges 1\nBridge 127.0.0.1:%d\n",
		peer.Addr(socks), peer.Addr(control), t.TempDir(), peer.FreePort(t)))
	tor := peer.Start(t, nil, peer.Need(t, "tor"), "-f", torrc, "--defaults-torrc", write(t, "defaults", ""))
	tor.WaitListen(t, socks)
	tor.WaitListen(t, control)
	run(t, throughFile(proxy, "tcp", `dial_timeout = "1m"`, socksHop(socks, `isolate = ["client", "target"]`, `mode = "tcp"`)), proxy)

	c := dial(t, control)
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(c, "AUTHENTICATE\r\nSETEVENTS STREAM\r\n"); err != nil {
		t.Fatal(err)
	}
	events := bufio.NewScanner(c)
	for range 2 {
		if !events.Scan() || events.Text() != "250 OK" {
			t.Fatalf("Tor's control port: got %q, %v", events.Text(), events.Err())
		}
	}
	stream := regexp.MustCompile(` NEW 0 (\S+) .*SOCKS_USERNAME="([^"]+)" SOCKS_PASSWORD="([^"]+)"`)
	logins := map[string]string{} // by the target
	for _, target := range []string{"one.test:80", "two.test:80", "one.test:443"} {
		client := dial(t, proxy)
		if err := greet(client); err != nil {
			t.Fatal(err)
		}
		go request(client, 1, target) // is answered when the test ends: there is no circuit
		for logins[target] == "" {
			if !events.Scan() {
				t.Fatalf("no stream to %s: %v", target, events.Err())
			}
			if m := stream.FindStringSubmatch(events.Text()); m != nil && m[1] == target {
				logins[target] = m[2] + ":" + m[3]
			}
		}
		client.Close()
	}
	if logins["one.test:80"] == logins["two.test:80"] || logins["one.test:80"] != logins["one.test:443"] {
		t.Errorf("got the logins %v, want one for each host", logins)
	}
	if strings.Contains(fmt.Sprint(logins["one.test:80"]), "one") {
		t.Errorf("the login shows the target: %v", logins)
	}
}
