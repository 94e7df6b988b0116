package field

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// asLibev starts umbra as one of the programs of shadowsocks-libev, in whose place it stands.
func asLibev(t testing.TB, role string, args ...string) *peer.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "ss-"+role)
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	return peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, name, args...)
}

// fetches reports whether a page is answered through a SOCKS5 proxy.
func fetches(t testing.TB, proxy int, target string) bool {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: peer.Addr(proxy)}),
	}}
	answer, err := client.Get("http://" + target + "/")
	if err == nil {
		answer.Body.Close()
	}
	return err == nil
}

// anyPage serves at every address of the loopback range and returns its port.
func anyPage(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler()}}
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// The same ACL file leads to the same decision as in ss-local and ss-server. A local side's
// server is closed, so a page is reached by those requests alone that pass it by.
func TestLibevACL(t *testing.T) {
	port := anyPage(t)
	hosts := []string{"127.0.0.1", "127.0.1.1", "127.0.2.1", "localhost"}
	for _, tc := range []struct {
		name, role, acl string
	}{
		{"bypass some", "local", "[proxy_all]\n[bypass_list]\n127.0.1.0/24\n"},
		{"bypass a name's range", "local", "[proxy_all]\n[bypass_list]\n127.0.0.1\n"},
		{"a name through the proxy", "local", "[proxy_all]\n[bypass_list]\n127.0.0.0/8\n[proxy_list]\n^local\n127.0.2.0/24\n"},
		{"a name past it", "local", "[accept_all]\n[black_list]\n(^|\\.)localhost$ # a comment\n"},
		{"proxy some", "local", "[bypass_all]\n[proxy_list]\n127.0.1.0/24\n127.0.2.0/24\n[bypass_list]\n127.0.2.1\n"},
		{"proxy a name", "local", "[reject_all]\n[white_list]\nhost\n"},
		{"block ranges", "server", "[outbound_block_list]\n127.0.0.0/24\n127.0.2.1\n"},
		{"block a name", "server", "[outbound_block_list]\n^localhost$\n"},
		{"refuse the client", "server", "[black_list]\n127.0.0.0/8\n"},
		{"serve nobody", "server", "[reject_all]\n"},
		{"serve the client", "server", "[reject_all]\n[white_list]\n127.0.0.1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.acl")
			if err := os.WriteFile(path, []byte(tc.acl), 0o600); err != nil {
				t.Fatal(err)
			}
			common := []string{"-s", "127.0.0.1", "-k", "a-long-password", "-m", "aes-256-gcm"}
			// proxyOf starts the program, real or ours, and returns the port to ask by.
			proxyOf := func(start func(role string, args ...string) *peer.Process) int {
				server, local := peer.FreePort(t), peer.FreePort(t)
				listen := append([]string{"-p", strconv.Itoa(server)}, common...)
				client := append([]string{"-l", strconv.Itoa(local)}, listen...)
				if tc.role == "local" {
					start("local", append(client, "--acl", path)...).WaitListen(t, local)
					return local
				}
				start("server", append(listen, "--acl", path)...).WaitListen(t, server)
				peer.Start(t, nil, peer.Need(t, "ss-local"), client...).WaitListen(t, local)
				return local
			}
			real := proxyOf(func(role string, args ...string) *peer.Process {
				return peer.Start(t, nil, peer.Need(t, "ss-"+role), args...)
			})
			ours := proxyOf(func(role string, args ...string) *peer.Process { return asLibev(t, role, args...) })
			for _, host := range hosts {
				want, got := fetches(t, real, net.JoinHostPort(host, port)), fetches(t, ours, net.JoinHostPort(host, port))
				if got != want {
					t.Errorf("%s: reached %t, by ss-%s %t", host, got, tc.role, want)
				}
			}
		})
	}
}

// Wrong calls end with the status of the program in whose place umbra stands.
func TestLibevStatus(t *testing.T) {
	for _, args := range [][]string{
		{"server", "-p", "8390"}, {"server", "-Z"}, {"server", "-c", "/nosuch"}, {"server", "-A", "-p", "8390", "-k", "x"},
		{"server", "-h"}, {"server", "-p", "8390", "-k", "x", "-m", "nosuch"}, {"tunnel", "-s", "127.0.0.1", "-p", "9", "-l", "10", "-k", "x", "-L", "foo"},
		{"local", "-s", "127.0.0.1", "-p", "9", "-l", "1999", "-k", "x", "-b", "203.0.113.1"},
	} {
		want := peer.Start(t, nil, peer.Need(t, "ss-"+args[0]), args[1:]...).Wait(t)
		if got := asLibev(t, args[0], args[1:]...).Wait(t); got != want {
			t.Errorf("ss-%s: got status %d, want %d", args, got, want)
		}
	}
}
