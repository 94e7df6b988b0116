package tls

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once; tests that pass don't wait for it.
const patience = 20 * time.Second

// newPlain makes a component that logs nowhere.
func newPlain(t testing.TB, o Options) *Transport {
	t.Helper()
	tr, err := newTransport(new(follow.Files), "test", slog.New(slog.DiscardHandler), o, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// tcpPair returns the two ends of a loopback connection.
func tcpPair(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, client = s.(*net.TCPConn), c.(*net.TCPConn)
	for _, conn := range []*net.TCPConn{server, client} {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	return server, client
}

// ends is the outcome of a handshake at both ends.
type ends struct {
	server, client       core.Stream
	serverErr, clientErr error
	serverWire           *net.TCPConn
	clientWire           *net.TCPConn
}

// shake lets client dial server by the name dialled.
func shake(t testing.TB, server, client *Transport, dialled string) ends {
	t.Helper()
	var e ends
	e.serverWire, e.clientWire = tcpPair(t)
	target, err := core.NewAddr(dialled, 443)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if e.server, e.serverErr = server.Server(context.Background(), e.serverWire); e.serverErr != nil {
			e.serverWire.Close()
		}
	}()
	if e.client, e.clientErr = client.Client(t.Context(), e.clientWire, target); e.clientErr != nil {
		e.clientWire.Close()
	}
	<-done
	return e
}

// established returns a connection whose handshake succeeded.
func established(t testing.TB) ends {
	t.Helper()
	return establishedWith(t, Version(0))
}

func establishedWith(t testing.TB, low Version) ends {
	t.Helper()
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	server := newPlain(t, Options{Cert: id.file, Key: id.key, MinVersion: low})
	client := newPlain(t, Options{CA: ca.file, MinVersion: low})
	e := shake(t, server, client, "example.test")
	if e.serverErr != nil || e.clientErr != nil {
		t.Fatalf("handshake: server %v, client %v", e.serverErr, e.clientErr)
	}
	return e
}

// pattern returns n bytes that repeat late.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func equal(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, want %d (or they differ)", what, len(got), len(want))
	}
}
