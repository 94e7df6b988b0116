package field

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestFailoverProxies has the proxies of others as members, microsocks, tinyproxy and OpenSSH's
// server, and kills them one after the other under load: no request fails that begins when one
// of them is there.
func TestFailoverProxies(t *testing.T) {
	t.Parallel()
	microsocks, tinyproxy, socks := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	config := write(t, "tinyproxy.conf", fmt.Sprintf("Port %d\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\n", tinyproxy))
	startMicrosocks := func() *peer.Process {
		p := peer.Start(t, nil, peer.Need(t, "microsocks"), "-i", "127.0.0.1", "-p", strconv.Itoa(microsocks))
		p.WaitListen(t, microsocks)
		return p
	}
	startTinyproxy := func() *peer.Process {
		p := peer.Start(t, nil, peer.Need(t, "tinyproxy"), "-d", "-c", config)
		p.WaitListen(t, tinyproxy)
		return p
	}
	kill := func(p *peer.Process) {
		p.Signal(t, syscall.SIGKILL)
		p.Wait(t)
	}
	first, second, third := startMicrosocks(), startTinyproxy(), peer.SSHServer(t)
	path := filepath.Join(t.TempDir(), "umbra.toml")
	file := fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.exit"]
[inbound.socks5]
listen = "127.0.0.1:%d"
mode = "tcp"
[outbound.exit]
kind = "failover"
members = ["paris", "tokyo", "lima"]
attempts = 3
rest = "300ms"
rise = 1
[outbound.paris]
kind = "socks5"
server = "127.0.0.1:%d"
[outbound.tokyo]
kind = "http"
server = "127.0.0.1:%d"
[outbound.lima]
kind = "ssh"
server = "%s"
user = "%s"
key_file = "%s"
known_hosts = "%s"
retry_wait = "100ms"
`, socks, microsocks, tinyproxy, third.Addr(), third.User, third.Key, third.KnownHosts)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	umbra := runAt(t, path, nil, socks)
	l := startLoad(t, socks, peer.Addr(listenEcho(t)))
	l.more(umbra, 20)
	l.during(func() { kill(first) })
	l.more(umbra, 40)
	umbra.WaitOutput(t, "member is out outbound=exit member=paris")
	l.during(func() { kill(second) })
	l.more(umbra, 40)
	umbra.WaitOutput(t, "member is out outbound=exit member=tokyo")
	first = startMicrosocks()
	umbra.WaitOutput(t, "member is in again outbound=exit member=paris")
	l.more(umbra, 40)
	l.during(func() { third.Kill(t) })
	l.more(umbra, 40)
	startTinyproxy()
	l.during(func() { kill(first) })
	l.more(umbra, 40)
	l.end()
}
