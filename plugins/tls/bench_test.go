package tls

import (
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// burst is what a relay moves at once, in bytes.
const burst = 128 << 10

// BenchmarkTransfer sends bursts one way, as a relay reads and writes them.
func BenchmarkTransfer(b *testing.B) {
	e := established(b)
	reads, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		for p := make([]byte, burst); ; reads++ {
			if err := e.server.(core.Waiter).WaitRead(); err != nil {
				b.Error(err)
				return
			}
			if _, err := e.server.Read(p); err != nil {
				if err != io.EOF {
					b.Error(err)
				}
				return
			}
		}
	}()
	p := make([]byte, burst)
	b.SetBytes(burst)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.client.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	if err := e.client.CloseWrite(); err != nil {
		b.Error(err)
	}
	<-done
	b.ReportMetric(float64(reads)/float64(b.N), "reads/op")
}

// BenchmarkPingPong sends a small message there and back.
func BenchmarkPingPong(b *testing.B) {
	e := established(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := make([]byte, 100)
		for {
			n, err := e.server.Read(p)
			if err != nil {
				return
			}
			if _, err := e.server.Write(p[:n]); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	p := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.client.Write(p); err != nil {
			b.Fatal(err)
		}
		if err := e.client.(core.Waiter).WaitRead(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(e.client, p); err != nil {
			b.Fatal(err)
		}
	}
	e.client.Close()
	<-done
}

// BenchmarkHandshake shakes hands anew, or resumes a session.
func BenchmarkHandshake(b *testing.B) {
	self := selfSigned(b, "example.test")
	server, client := newPlain(b, Options{Cert: self.file, Key: self.key}), newPlain(b, Options{Pin: []Pin{PinOf(self.cert)}})
	for _, tc := range []struct {
		name   string
		resume bool
	}{{"full", false}, {"resumed", true}} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e := shake(b, server, client, "example.test")
				if e.clientErr != nil || e.serverErr != nil {
					b.Fatal(e.clientErr, e.serverErr)
				}
				if tc.resume {
					if _, err := e.server.Write([]byte("x")); err != nil {
						b.Fatal(err)
					}
					if _, err := e.client.Read(make([]byte, 1)); err != nil {
						b.Fatal(err)
					}
				}
				e.client.Close()
				e.server.Close()
			}
		})
	}
}
