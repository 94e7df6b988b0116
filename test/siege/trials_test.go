package siege

import (
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestTrialsUnderNoise has one address send 50 random datagrams a second to a port with so
// many users of a SIP004 method that trying all of them takes 3 ms, as with 1,000 users on
// a small machine. New clients at other addresses are answered all the same. Where this
// machine is faster than it was a moment ago, the address sends more, until the time for
// trials is used up.
func TestTrialsUnderNoise(t *testing.T) {
	t.Parallel()
	const clients, tries = 15, 5
	users := usersFor(t, 3*time.Millisecond)
	password := func(user int) string { return fmt.Sprintf("the long password of user %d", user) }
	var table strings.Builder
	for n := range users {
		fmt.Fprintf(&table, "user%d = %q\n", n, password(n))
	}
	port := peer.FreePort(t)
	umbra := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, self(t), "run", write(t, "umbra.toml", fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "door"
mode = "both"
[outbound.direct]
allow = ["127.0.0.1"]
[cipher.door]
kind = "aes-256-gcm"
[cipher.door.users]
%s`, peer.Addr(port), table.String())))
	umbra.WaitListen(t, port)

	target := listenUDP(t)
	go func() {
		for buf := make([]byte, 2000); ; {
			n, from, err := target.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = target.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	noise := dialUDPFrom(t, port, "127.1.0.1")
	stop, stopped := make(chan struct{}), make(chan struct{})
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	go func() {
		defer close(stopped)
		for {
			b := make([]byte, 100)
			rand.Read(b)
			_, _ = noise.Write(b)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for every := time.Second / 50; !strings.Contains(umbra.Output(), "datagrams of unknown clients dropped"); every /= 2 {
		if every < time.Millisecond/10 {
			t.Fatalf("noise every %s does not use up the time for trials", 2*every)
		}
		tick.Reset(every)
		for range 3 {
			_, _ = noise.Read(make([]byte, 1)) // waits a second: nothing is answered
		}
	}

	answered := 0
	for n := range clients {
		conn := dialUDPFrom(t, port, fmt.Sprintf("127.%d.0.1", 10+n))
		if isAnswered(t, conn, password(n*users/clients), target.LocalAddr().String(), tries) {
			answered++
		}
	}
	if answered < clients {
		t.Errorf("%d of %d new clients were answered", answered, clients)
	}
}

// usersFor returns how many users, 50 to 4,000, are tried in a time.
func usersFor(t *testing.T, all time.Duration) int {
	t.Helper()
	spec := specOf(t, "aes-256-gcm")
	c, err := aead.New(spec, make([]byte, spec.KeySize), replay.NewSalts(16))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	const trials = 500
	began, wire := time.Now(), make([]byte, 100)
	for range trials {
		if _, _, err := p.OpenPacket(wire); err == nil {
			t.Fatal("noise was opened")
		}
	}
	return int(min(max(50, all*trials/time.Since(began)), 4000))
}

// dialUDPFrom returns a socket between a loopback address and a loopback port. A Read takes
// a second at most.
func dialUDPFrom(t *testing.T, port int, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("udp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return secondConn{c}
}

type secondConn struct{ net.Conn }

func (c secondConn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	return c.Conn.Read(b)
}

// isAnswered reports whether one of a number of datagrams of a user is answered.
func isAnswered(t *testing.T, conn net.Conn, password, target string, tries int) bool {
	t.Helper()
	spec := specOf(t, "aes-256-gcm")
	c, err := aead.New(spec, key.FromPassword(password, spec.KeySize), replay.NewSalts(16))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	to, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	for range tries {
		wire, err := p.AppendPacket(nil, []byte("hello"), to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(wire); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2000)
		if n, err := conn.Read(buf); err == nil {
			text, _, err := p.OpenPacket(buf[:n])
			return err == nil && string(text) == "hello"
		}
	}
	return false
}

func specOf(t *testing.T, method string) aead.Spec {
	t.Helper()
	for _, s := range aead.Specs() {
		if s.Method == method {
			return s
		}
	}
	t.Fatalf("no method %s", method)
	return aead.Spec{}
}
