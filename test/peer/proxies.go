package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Microsocks runs microsocks, a SOCKS5 server without UDP. Without a user it asks for no
// login. It returns the port.
func Microsocks(t testing.TB, user, password string) int {
	t.Helper()
	port := FreePort(t)
	args := []string{"-i", "127.0.0.1", "-p", strconv.Itoa(port)}
	if user != "" {
		args = append(args, "-u", user, "-P", password)
	}
	Start(t, nil, Need(t, "microsocks"), args...).WaitListen(t, port)
	return port
}

// Dante runs Dante's SOCKS5 server with the lines of its rules, and returns the port. Its
// UDP and its outgoing connections use loopback addresses.
func Dante(t testing.TB, rules string) int {
	t.Helper()
	port := FreePort(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "danted.conf")
	file := fmt.Sprintf(`logoutput: stderr
internal: 127.0.0.1 port = %d
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
%s
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
`, port, rules)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	// Its lock file is in TMPDIR.
	Start(t, []string{"TMPDIR=" + dir}, Need(t, "danted"), "-f", path, "-p", filepath.Join(dir, "pid"), "-N", "1").WaitListen(t, port)
	return port
}

// Tinyproxy runs tinyproxy, an HTTP proxy, with further lines of its configuration, and
// returns the port.
func Tinyproxy(t testing.TB, lines ...string) int {
	t.Helper()
	port := FreePort(t)
	path := filepath.Join(t.TempDir(), "tinyproxy.conf")
	file := fmt.Sprintf("Port %d\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\n%s\n", port, strings.Join(lines, "\n"))
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	Start(t, nil, Need(t, "tinyproxy"), "-d", "-c", path).WaitListen(t, port)
	return port
}
