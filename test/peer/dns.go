package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// DNSServer runs dnsmasq as a DNS server that serves only records, which are lines of its
// configuration, and returns its port on 127.0.0.1.
func DNSServer(t testing.TB, records string) int {
	t.Helper()
	port := FreePort(t)
	path := filepath.Join(t.TempDir(), "dnsmasq.conf")
	file := fmt.Sprintf("port=%d\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nlocal=/#/\npid-file=\n%s", port, records)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, nil, Need(t, "dnsmasq"), "-k", "-C", path)
	p.WaitPackets(t, port)
	return port
}
