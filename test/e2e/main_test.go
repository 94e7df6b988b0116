// Package e2e tests the umbra program as its users run it: the complete binary with real
// configuration files, and common software at the other end.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
	"github.com/umbra-proxy/umbra/test/peer"
)

// asUmbra makes the test binary run as umbra, so that the tested program has the race detector
// too.
const asUmbra = "UMBRA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asUmbra) != "" {
		app.Main(plugins.Standard)
	}
	if len(os.Args) > 1 && os.Args[1] == asPlugin {
		beForwarder()
	}
	goleak.VerifyTestMain(m)
}

// methods are the ciphers that both umbra and shadowsocks-libev support.
func methods() []string {
	return []string{"aes-128-gcm", "aes-192-gcm", "aes-256-gcm", "chacha20-ietf-poly1305", "xchacha20-ietf-poly1305"}
}

// run starts umbra with a file and waits for its ports.
func run(t testing.TB, file string, ports ...int) *peer.Process {
	t.Helper()
	return runAt(t, write(t, "umbra.toml", file), ports...)
}

// runAt is run with a path, at which the test may replace the file.
func runAt(t testing.TB, path string, ports ...int) *peer.Process {
	t.Helper()
	var p *peer.Process
	t.Cleanup(func() { // runs after p has ended
		for _, line := range []string{"WARNING: DATA RACE", "panic"} {
			if p != nil && strings.Contains(p.Output(), line) {
				t.Errorf("umbra printed %q:\n%s", line, p.Output())
			}
		}
	})
	// Otherwise each exit takes a second with the race detector.
	p = peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, self(t), "run", path)
	for _, port := range ports {
		p.WaitListen(t, port)
	}
	return p
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// write writes a file to a folder of the test.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// cipherTable is a [cipher.name] table.
func cipherTable(name, method string) string {
	table := fmt.Sprintf("[cipher.%s]\nkind = %q\npassword = %q\n", name, method, peer.Password)
	if slices.Contains(append(oldMethods(), ownOldMethods()...), method) {
		table += "insecure = true\n"
	}
	return table
}

// serverFile is a server on a port.
func serverFile(port int, method string) string {
	return fmt.Sprintf(`
[log]
level = "debug"
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8", "::1"]
`, peer.Addr(port)) + cipherTable("house", method)
}

// localFile is a SOCKS5 side on a port with hops through servers, the nearest first.
func localFile(port int, method string, servers ...int) string {
	var hops, tables strings.Builder
	for i, server := range servers {
		fmt.Fprintf(&hops, ", \"outbound.hop%d\"", i)
		fmt.Fprintf(&tables, "[outbound.hop%d]\nkind = \"ss\"\nserver = %q\ncipher = \"house\"\n", i, peer.Addr(server))
	}
	return fmt.Sprintf(`
[log]
level = "debug"
[pipeline.local]
chain = ["inbound.socks5"%s]
[inbound.socks5]
listen = %q
`, hops.String(), peer.Addr(port)) + tables.String() + cipherTable("house", method)
}

// quietLog fails the test if umbra has logged a warning or an error, but for lines with one
// of the texts that the test expects.
func quietLog(t testing.TB, umbra *peer.Process, expected ...string) {
	t.Helper()
	for line := range strings.Lines(umbra.Output()) {
		isExpected := slices.ContainsFunc(expected, func(text string) bool { return strings.Contains(line, text) })
		if !isExpected && (strings.Contains(line, " WARN ") || strings.Contains(line, " ERROR ")) {
			t.Errorf("umbra logged\n%s\nwant nothing above INFO", line)
		}
	}
}

// with inserts lines after the header of a table of a file.
func with(file, table, lines string) string {
	return strings.Replace(file, table+"\n", table+"\n"+lines+"\n", 1)
}

// umbraServer runs a server and returns its port.
func umbraServer(t testing.TB, method string) int {
	t.Helper()
	port := peer.FreePort(t)
	run(t, serverFile(port, method), port).WaitPackets(t, port)
	return port
}

// umbraLocal runs a local side and returns the port of its SOCKS5 side.
func umbraLocal(t testing.TB, method string, servers ...int) int {
	t.Helper()
	port := peer.FreePort(t)
	run(t, localFile(port, method, servers...), port)
	return port
}
