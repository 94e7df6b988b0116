package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestPacketsQUIC moves data in both directions over QUIC through an association, because QUIC has its
// own detection of loss and delay.
func TestPacketsQUIC(t *testing.T) {
	const size = 8 << 20
	front := newCertificate(t)
	for _, tc := range []struct {
		name string
		hops int
	}{{"one hop", 1}, {"three hops", 3}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var hops []int
			for range tc.hops {
				hops = append(hops, umbraServer(t, method))
			}
			server := newQUICServer(t, front, size)
			stream := dialQUIC(t, associate(t, umbraLocal(t, method, hops...)), front, server)
			if _, err := io.Copy(stream, content(size)); err != nil {
				t.Fatalf("upload: %v", err)
			}
			if err := stream.Close(); err != nil {
				t.Fatal(err)
			}
			want := hashOf(t, content(size))
			got := make([]byte, len(want))
			if _, err := io.ReadFull(stream, got); err != nil || string(got) != want {
				t.Fatalf("upload: the server got what has the hash %q, and %v, want %q", got, err, want)
			}
			if got := hashOf(t, stream); got != want {
				t.Errorf("download: got the hash %q, want %q", got, want)
			}
		})
	}
}

// quicConfig sets the timeouts.
func quicConfig() *quic.Config {
	return &quic.Config{HandshakeIdleTimeout: patience, MaxIdleTimeout: patience}
}

// newQUICServer runs a target that reads a stream to its end, and answers with the hash of the stream and
// size bytes. It returns its address.
func newQUICServer(t testing.TB, front certificate, size int) net.Addr {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(front.cert, front.key)
	if err != nil {
		t.Fatal(err)
	}
	socket := listenPackets(t, "127.0.0.1")
	_ = socket.SetReadDeadline(time.Time{})
	transport := &quic.Transport{Conn: socket}
	ln, err := transport.Listen(&tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"test"}}, quicConfig())
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := ln.Accept(context.Background())
		if err != nil {
			return // the test has ended
		}
		stream, err := conn.AcceptStream(conn.Context())
		if err != nil {
			return // the client fails
		}
		_, _ = io.WriteString(stream, hashOf(t, stream)) // the client detects a failure, and below too
		_, _ = io.Copy(stream, content(size))
		stream.Close()
		<-conn.Context().Done() // until the test ends, so that the client receives everything
	})
	t.Cleanup(func() {
		transport.Close()
		serving.Wait()
	})
	return ln.Addr()
}

// dialQUIC opens a stream to a server over conn. It ends with the test.
func dialQUIC(t testing.TB, conn net.PacketConn, front certificate, server net.Addr) *quic.Stream {
	t.Helper()
	root, err := os.ReadFile(front.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		t.Fatal("no certificate")
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: conn}
	t.Cleanup(func() { transport.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := transport.Dial(ctx, server, &tls.Config{RootCAs: roots, ServerName: "front.test", NextProtos: []string{"test"}}, quicConfig())
	if err != nil {
		t.Fatalf("QUIC: %v", err)
	}
	t.Cleanup(func() { _ = c.CloseWithError(0, "the test has ended") })
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		t.Fatal(err)
	}
	return stream
}
