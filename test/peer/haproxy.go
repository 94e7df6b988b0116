package peer

import (
	"os"
	"path/filepath"
	"testing"
)

// HAProxy runs haproxy with sections of its configuration, in TCP mode by default, and waits for
// its ports.
func HAProxy(t testing.TB, sections string, ports ...int) *Process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	file := "global\n  maxconn 500\n  log stderr format raw local0\n" +
		"defaults\n  mode tcp\n  log global\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n" + sections
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, nil, Need(t, "haproxy"), "-f", path, "-db")
	for _, port := range ports {
		p.WaitListen(t, port)
	}
	return p
}
