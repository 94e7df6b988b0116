package field

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// sshFile is a file whose outbound goes through OpenSSH's server, behind shadowsocks-libev's.
func sshFile(socks, hop int, s *peer.SSHD, more string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.paris", "outbound.shell"]
[inbound.socks5]
listen = "%s"
mode = "tcp"
[outbound.paris]
kind = "ss"
server = "%s"
cipher = "house"
[cipher.house]
kind = "aes-256-gcm"
password = "%s"
[outbound.shell]
kind = "ssh"
server = "%s"
user = "%s"
key_file = "%s"
known_hosts = "%s"
retry_wait = "10ms"
%s
`, peer.Addr(socks), peer.Addr(hop), peer.Password, s.Addr(), s.User, s.Key, s.KnownHosts, more)
}

// throughSSH returns a stream to an echoing target. It sends nothing before the reply.
func throughSSH(t testing.TB, proxy string, target string) net.Conn {
	t.Helper()
	c := request(t, proxy, target, "")
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	var b [2 + 10]byte // the method, and the reply with an IPv4 address
	if _, err := io.ReadFull(c, b[:]); err != nil || b[3] != socksaddr.RepSuccess {
		t.Fatalf("got %x, %v, want a success", b, err)
	}
	return c
}

// TestSSH goes through an SSH server behind another hop, over a reload and a kill of the
// server: the streams of before a reload go on by their own connection, which ends with
// them; those of a server that is killed are reset; and later requests are served again.
func TestSSH(t *testing.T) {
	t.Parallel()
	server := peer.SSHServer(t)
	hop, socks := peer.SSServer(t, "aes-256-gcm"), peer.FreePort(t)
	target := echoServer(t).String()
	path := filepath.Join(t.TempDir(), "umbra.toml")
	save := func(more string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(sshFile(socks, hop, server, more)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("")
	p := runAt(t, path, nil, socks)
	before := throughSSH(t, peer.Addr(socks), target)
	also := throughSSH(t, peer.Addr(socks), target)
	if n := server.Connections(); n != 1 {
		t.Errorf("two streams have %d connections, want one", n)
	}
	save(`idle_timeout = "1h"`)
	p.Signal(t, syscall.SIGHUP)
	p.WaitOutput(t, "INFO  reloaded")
	after := throughSSH(t, peer.Addr(socks), target)
	for _, c := range []net.Conn{before, also, after} {
		if err := echo(c, "over a reload"); err != nil {
			t.Error(err)
		}
	}
	if n := server.Connections(); n != 2 {
		t.Errorf("after a reload there are %d connections, want two", n)
	}
	before.Close()
	if err := echo(also, "still"); err != nil {
		t.Error(err)
	}
	also.Close()
	p.Until(t, "end the old connection", func() bool { return server.Connections() == 1 })

	server.Kill(t)
	if _, err := after.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("a stream of a server that was killed: got %v, want a reset", err)
	}
	server.Restart(t)
	if err := echo(throughSSH(t, peer.Addr(socks), target), "again"); err != nil {
		t.Error(err)
	}
}
