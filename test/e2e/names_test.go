package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// namesZone is the zone of unbound: a web server on this machine, and names that resolve to addresses
// which clients must not reach.
const namesZone = `local-zone: "test." static
	local-data: "test. 3600 IN SOA ns.test. mail.test. 1 2 3 4 60"
	local-data: "web.test. 300 IN A 127.0.0.1"
	local-data: "private.test. 300 IN A 10.0.0.1"
	local-data: "private.test. 300 IN AAAA ::ffff:169.254.169.254"
	local-data: "mixed.test. 300 IN A 10.0.0.1"
	local-data: "mixed.test. 300 IN A 127.0.0.1"
	local-data: "rebound.test. 0 IN A 127.0.0.1"
	local-data: "dual.test. 300 IN A 127.0.0.1"
	local-data: "dual.test. 300 IN AAAA ::1"
	local-data: "alias.test. 300 IN CNAME web.test."
`

// dnsFile is a SOCKS5 side with a resolver before the target. lines are added to the table of the
// resolver.
func dnsFile(port int, allow, lines string) string {
	return fmt.Sprintf(`
[log]
level = "debug"
[pipeline.names]
chain = ["inbound.socks5", "resolver.dns", "outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
allow = [%s]
[resolver.dns]
%s
`, peer.Addr(port), allow, lines)
}

// TestNames fetches a page by its name, which is resolved over each transport.
func TestNames(t *testing.T) {
	u := peer.StartUnbound(t, namesZone, "")
	w := newWeb(t)
	_, webPort, err := net.SplitHostPort(w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for way, server := range map[string]string{
		"udp": peer.Addr(u.Port), "tcp": "tcp://" + peer.Addr(u.Port), "tls": fmt.Sprintf("tls://dns.test:%d", u.TLS),
		"https": fmt.Sprintf("https://%s/dns-query", peer.Addr(u.HTTPS)),
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			port := peer.FreePort(t)
			lines := fmt.Sprintf("servers = [%q]\nca = %q", server, u.CA)
			if way == "tls" {
				lines += "\nbootstrap = { \"dns.test\" = [\"127.0.0.1\"] }"
			}
			umbra := run(t, dnsFile(port, `"127.0.0.0/8", "::1"`, lines+"\nprefer = \"ipv6\""), port)
			for range 2 {
				for _, name := range []string{"web.test", "WEB.test.", "dual.test"} { // no server listens on ::1
					if out, err := curl(t, port, "http://"+name+":"+webPort+"/file/16384"); err != nil || len(out) != 16384 {
						t.Errorf("%s: got %d bytes, %v, want 16384", name, len(out), err)
					}
				}
			}
			if _, err := curl(t, port, "http://none.test:"+webPort+"/file/1"); err == nil {
				t.Error("none.test: got an answer, want none")
			}
			quietLog(t, umbra, "requests failed outbound=direct reason=name")
		})
	}
}

// TestNamesRebound checks that no name resolves to a denied address, alone or among others, in any
// form.
func TestNamesRebound(t *testing.T) {
	u := peer.StartUnbound(t, namesZone, "")
	w := newWeb(t)
	_, webPort, err := net.SplitHostPort(w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	lines := fmt.Sprintf("servers = [%q]", peer.Addr(u.Port))
	closed, open := peer.FreePort(t), peer.FreePort(t)
	run(t, dnsFile(closed, "", lines), closed)
	run(t, dnsFile(open, `"127.0.0.1"`, lines), open)
	for _, name := range []string{"web.test", "private.test", "mixed.test", "rebound.test", "localhost", "a.localhost"} {
		for range 3 {
			if err := connect(dial(t, closed), name+":"+webPort); err == nil || !strings.Contains(err.Error(), "2") {
				t.Errorf("%s: got %v, want the reply 2", name, err)
			}
		}
	}
	if err := connect(dial(t, open), "private.test:"+webPort); err == nil || !strings.Contains(err.Error(), "2") {
		t.Errorf("private.test where loopback is open: got %v, want the reply 2", err)
	}
	if out, err := curl(t, open, "http://mixed.test:"+webPort+"/file/1000"); err != nil || len(out) != 1000 {
		t.Errorf("mixed.test where loopback is open: got %d bytes, %v, want 1000", len(out), err)
	}
}

// TestNamesVia uses a DNS server that is reachable only from the last hop, so that no query bypasses
// the hop.
func TestNamesVia(t *testing.T) {
	u := peer.StartUnbound(t, namesZone, "")
	w := newWeb(t)
	_, webPort, err := net.SplitHostPort(w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server := peer.FreePort(t)
	far := serverFile(server, method)
	far = strings.Replace(far, `"inbound.ss", "outbound`, `"inbound.ss", "resolver.hosts", "outbound`, 1)
	run(t, far+"[resolver.hosts]\nnames = { \"dns.test\" = [\"127.0.0.1\"] }\n", server).WaitPackets(t, server)
	for way, name := range map[string]string{
		"udp": fmt.Sprintf("dns.test:%d", u.Port), "tls": fmt.Sprintf("tls://dns.test:%d", u.TLS), "https": fmt.Sprintf("https://dns.test:%d/dns-query", u.HTTPS),
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			local := peer.FreePort(t)
			near := strings.Replace(localFile(local, method, server), `"inbound.socks5", `, `"inbound.socks5", "resolver.dns", `, 1)
			umbra := run(t, near+fmt.Sprintf("[resolver.dns]\nservers = [%q]\nca = %q\nvia = \"hop0\"\n", name, u.CA), local)
			for range 2 {
				if out, err := curl(t, local, "http://web.test:"+webPort+"/file/1000"); err != nil || len(out) != 1000 {
					t.Errorf("got %d bytes, %v, want 1000", len(out), err)
				}
			}
			quietLog(t, umbra, "requests failed outbound=direct reason=name")
		})
	}
}

// TestNamesReload checks that cached answers outlive a reload, after which the DNS server is gone.
func TestNamesReload(t *testing.T) {
	u := peer.StartUnbound(t, namesZone, "")
	w := newWeb(t)
	_, webPort, err := net.SplitHostPort(w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port := peer.FreePort(t)
	path := filepath.Join(t.TempDir(), "umbra.toml")
	file := dnsFile(port, `"127.0.0.0/8"`, fmt.Sprintf("servers = [%q]\nserve_stale = \"0s\"", peer.Addr(u.Port)))
	save(t, path, file)
	umbra := runAt(t, path, port)
	if _, err := curl(t, port, "http://web.test:"+webPort+"/file/1"); err != nil {
		t.Fatal(err)
	}
	u.Stop()
	save(t, path, with(file, "[resolver.dns]", `timeout = "500ms"`))
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "generation=2")
	if _, err := curl(t, port, "http://web.test:"+webPort+"/file/1"); err != nil {
		t.Errorf("after the reload: %v", err)
	}
	if _, err := curl(t, port, "http://alias.test:"+webPort+"/file/1"); err == nil {
		t.Error("a name that was not asked for: got an answer without a server")
	}
	umbra.WaitOutput(t, "no name server answers")
}

// TestResolve compares the output of umbra resolve with that of dig.
func TestResolve(t *testing.T) {
	u := peer.StartUnbound(t, namesZone, "")
	path := write(t, "umbra.toml", dnsFile(peer.FreePort(t), "", fmt.Sprintf("servers = [%q]", peer.Addr(u.Port))))
	for _, name := range []string{"web.test", "mixed.test"} {
		cmd := exec.CommandContext(t.Context(), self(t), "resolve", path, name)
		cmd.Env = append(cmd.Environ(), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			if fields := strings.Fields(line); len(fields) == 4 && fields[1] == "TTL" {
				got = append(got, fields[0])
			}
		}
		want := strings.Fields(dig(t, u.Port, name, "A"))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || len(want) == 0 || !strings.Contains(string(out), "from memory") || !strings.Contains(string(out), "udp://127.0.0.1:"+strconv.Itoa(u.Port)) {
			t.Errorf("%s: got %v, want %v\n%s", name, got, want, out)
		}
	}
}
