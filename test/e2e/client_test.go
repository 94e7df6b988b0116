package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/impair"
	"github.com/umbra-proxy/umbra/test/peer"
)

// patience is the timeout of every wait of a test client.
const patience = 30 * time.Second

// greeter is a target that sends a line and then echoes.
type greeter struct {
	addr     string
	accepted atomic.Int32
}

func newGreeter(t testing.TB, line string) *greeter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &greeter{addr: ln.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			g.accepted.Add(1)
			conns.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * patience))
				fmt.Fprintln(c, line)
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait()
	})
	return g
}

// soon returns the deadline of a wait that begins now.
func soon() time.Time { return time.Now().Add(patience) }

// await polls ok until it returns true, for at most patience.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for until := soon(); !ok(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// dial connects to a loopback port.
func dial(t testing.TB, port int) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// dialSOCKS connects to target through a SOCKS5 proxy.
func dialSOCKS(t testing.TB, proxy int, target string) *net.TCPConn {
	t.Helper()
	c := dial(t, proxy)
	if err := connect(c, target); err != nil {
		t.Fatal(err)
	}
	return c
}

// connect requests target from a SOCKS5 proxy. Its error contains the reply code.
func connect(c net.Conn, target string) error {
	addr, err := core.ParseAddr(target)
	if err != nil {
		return err
	}
	if _, err := c.Write(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, addr)); err != nil {
		return err
	}
	var answer [12]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer[3] != 0 {
		return replyError(answer[3])
	}
	return nil
}

// replyError is a SOCKS5 reply other than success.
type replyError byte

func (e replyError) Error() string { return fmt.Sprintf("socks reply %d", byte(e)) }

// expect reads text from a connection.
func expect(t testing.TB, c io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("read %q and %v, want %q", got[:n], err, text)
	}
}

// echo sends text and reads it back.
func echo(t testing.TB, c io.ReadWriter, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	expect(t, c, text)
}

// echoOnce opens a connection to a greeter through a proxy, echoes and half-closes it: it must
// receive everything back, and EOF.
func echoOnce(proxy int, target string) error {
	c, err := net.Dial("tcp", peer.Addr(proxy))
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := connect(c, target); err != nil {
		return err
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if _, err := c.Write(sent); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(got, sent) {
		return errors.New("the echo differs from what was sent")
	}
	return nil
}

// recordFlight returns the first bytes of a served client request.
func recordFlight(t testing.TB, method string, server int, target string) []byte {
	t.Helper()
	tap := impair.New(t, peer.Addr(server), impair.Options{Up: impair.Direction{Record: true}})
	addr, err := core.ParseAddr(tap.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := dialSOCKS(t, umbraLocal(t, method, int(addr.Port())), target)
	if _, err := io.CopyN(io.Discard, c, 1); err != nil {
		t.Fatal(err)
	}
	flight, _ := tap.Recorded(0)
	if len(flight) == 0 {
		t.Fatal("nothing was recorded")
	}
	return flight
}
