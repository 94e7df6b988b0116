package field

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// cutBody is the length of a body that a reset cuts.
const cutBody = 50_000

// direct is a SOCKS5 server without users that dials the target itself.
func direct(t testing.TB) (proxy string) {
	t.Helper()
	port := peer.FreePort(t)
	run(t, fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port)), port)
	return peer.Addr(port)
}

// throughServer is a SOCKS5 client of a Shadowsocks server, both umbra, with a method.
func throughServer(t testing.TB, method string) (proxy string) {
	t.Helper()
	server, local := peer.FreePort(t), peer.FreePort(t)
	cipher := fmt.Sprintf("[cipher.house]\nkind = %q\npassword = %q\n", method, peer.Password)
	if strings.HasPrefix(method, "2022-") {
		cipher = fmt.Sprintf("[cipher.house]\nkind = %q\npassword = \"AAECAwQFBgcICQoLDA0ODw==\"\n", method)
	}
	run(t, fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(server))+cipher, server)
	run(t, fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.socks5", "outbound.ss"]
[inbound.socks5]
listen = %q
[outbound.ss]
server = %q
cipher = "house"
`, peer.Addr(local), peer.Addr(server))+cipher, local)
	return peer.Addr(local)
}

// proxies are the ways to a target that must pass resets on.
func proxies(t *testing.T, test func(t *testing.T, proxy string)) {
	t.Run("direct", func(t *testing.T) { t.Parallel(); test(t, direct(t)) })
	for _, method := range []string{"aes-256-gcm", "2022-blake3-aes-128-gcm"} {
		t.Run(method, func(t *testing.T) { t.Parallel(); test(t, throughServer(t, method)) })
	}
}

// resetting is a target that sends answer to each connection that has sent something, or at
// once if answer is empty, and resets it when its peer has received that.
func resetting(t testing.TB, answer string) (addr string) {
	t.Helper()
	return serve(t, func(conn *net.TCPConn) {
		if answer != "" {
			if _, err := conn.Read(make([]byte, 4096)); err != nil {
				return
			}
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
			awaitSent(conn)
		}
		_ = conn.SetLinger(0)
	})
}

// serve calls handle with each connection to a port of the test, and closes it then.
func serve(t testing.TB, handle func(*net.TCPConn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			handle(conn.(*net.TCPConn))
			conn.Close()
		}
	}()
	return ln.Addr().String()
}

// awaitSent waits until the kernel of the peer has all that was written to conn: a reset
// would destroy the rest.
func awaitSent(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	for left := 1; left > 0; time.Sleep(time.Millisecond) {
		if raw.Control(func(fd uintptr) { left = outQueue(fd) }) != nil {
			return
		}
	}
}

// A body without a length that a reset cuts is no complete body: curl says so with status 56.
func TestResetCutsBody(t *testing.T) {
	curl := peer.Need(t, "curl")
	proxies(t, func(t *testing.T, proxy string) {
		target := resetting(t, "HTTP/1.0 200 OK\r\n\r\n"+strings.Repeat("x", cutBody))
		out, err := exec.CommandContext(t.Context(), curl, "-sS", "--max-time", "30", "--socks5-hostname", proxy, "http://"+target+"/").Output()
		status := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			status = exit.ExitCode()
		}
		if status != 56 || len(out) != cutBody {
			t.Errorf("curl: got %d bytes and status %d, want %d and 56", len(out), status, cutBody)
		}
	})
}

// ssh to a port that resets ends, through nc as without it.
func TestResetEndsSSH(t *testing.T) {
	ssh, nc := peer.Need(t, "ssh"), peer.Need(t, "nc.openbsd")
	proxies(t, func(t *testing.T, proxy string) {
		target := resetting(t, "")
		out, err := exec.CommandContext(t.Context(), "timeout", "30", ssh, "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
			"-o", "UserKnownHostsFile=/dev/null", "-o", "ProxyCommand="+nc+" -X 5 -x "+proxy+" %h %p",
			"-p", target[strings.LastIndex(target, ":")+1:], "nobody@127.0.0.1").CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 255 {
			t.Errorf("ssh: got %v, want status 255 within 30 s; it printed:\n%s", err, out)
		}
	})
}

// A client's reset reaches its target, behind all that the client had sent.
func TestResetByClient(t *testing.T) {
	sent := strings.Repeat("y", cutBody)
	proxies(t, func(t *testing.T, proxy string) {
		type end struct {
			n   int
			err error
		}
		ended := make(chan end, 1)
		target := serve(t, func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, "hello")
			got, err := io.ReadAll(conn)
			ended <- end{len(got), err}
		})
		client := connect(t, proxy, target)
		if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, sent); err != nil {
			t.Fatal(err)
		}
		awaitSent(client)
		_ = client.SetLinger(0)
		client.Close()
		if got := <-ended; got.n != cutBody || !errors.Is(got.err, syscall.ECONNRESET) {
			t.Errorf("the target read %d bytes and %v, want %d and a reset", got.n, got.err, cutBody)
		}
	})
}

// A target that answers and closes before it has read all resets its connection: its answer
// still reaches a client that is sending.
func TestAnswerBeforeReset(t *testing.T) {
	proxies(t, func(t *testing.T, proxy string) {
		target := serve(t, func(conn *net.TCPConn) {
			if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
				return
			}
			_, _ = io.WriteString(conn, strings.Repeat("z", cutBody))
			awaitSent(conn) // and then a close with unread bytes
		})
		client := connect(t, proxy, target)
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			for {
				if _, err := client.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}()
		if n, err := io.ReadFull(client, make([]byte, cutBody)); err != nil {
			t.Errorf("the client got %d bytes and %v, want %d", n, err, cutBody)
		}
		client.Close()
		<-sending
	})
}

// connect returns a connection to target through a SOCKS5 proxy. It is closed with the test.
func connect(t testing.TB, proxy, target string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	host, port, _ := net.SplitHostPort(target)
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	request := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(host))}, host...)
	if _, err := conn.Write(append(request, byte(number>>8), byte(number))); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 12)
	if _, err := io.ReadFull(conn, reply); err != nil || reply[3] != 0 {
		t.Fatalf("the proxy's reply: got %x, %v", reply, err)
	}
	return conn.(*net.TCPConn)
}
