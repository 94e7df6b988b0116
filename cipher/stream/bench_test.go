package stream_test

import (
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// burstSize is what one burst moves in the benchmarks, in bytes.
const burstSize = 128 << 10

func perMethod(b *testing.B, run func(b *testing.B, s stream.Spec)) {
	for _, s := range stream.Specs() {
		s = prepared(b, s)
		b.Run(s.Method, func(b *testing.B) {
			b.ReportAllocs()
			run(b, s)
		})
	}
}

// BenchmarkEncrypt encrypts one burst onto a wire that costs nothing.
func BenchmarkEncrypt(b *testing.B) {
	perMethod(b, func(b *testing.B, s stream.Spec) {
		client, err := newCipher(b, s).DialStream(core.AddrFrom(someone), nil, func([]byte) (core.Stream, error) { return sink{}, nil })
		if err != nil {
			b.Fatal(err)
		}
		data := make([]byte, burstSize)
		b.SetBytes(burstSize)
		for b.Loop() {
			if _, err := client.Write(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRelay moves bursts over loopback: plaintext in, encrypted,
// decrypted, plaintext out, as a local and a server do together.
func BenchmarkRelay(b *testing.B) {
	perMethod(b, func(b *testing.B, s stream.Spec) {
		in, src := coretest.LoopbackPair(b)
		wireA, wireB := coretest.LoopbackPair(b)
		dst, out := coretest.LoopbackPair(b)
		client, err := newCipher(b, s).DialStream(core.AddrFrom(someone), nil, func(hello []byte) (core.Stream, error) {
			_, err := wireA.Write(hello)
			return wireA, err
		})
		if err != nil {
			b.Fatal(err)
		}
		a, err := newCipher(b, s).AcceptStream(wireB, core.Caller{Addr: someone})
		if err != nil {
			b.Fatal(err)
		}
		done := make(chan error, 2)
		fill, ok := client.(core.BurstReader)
		if !ok {
			b.Skip("its stream is the wire itself")
		}
		go func() { done <- pump(func() (int, error) { return fill.ReadBurst(src) }, client) }()
		go func() { done <- pump(func() (int, error) { return a.Stream.(core.BurstWriter).WriteBurst(dst) }, dst) }()
		go func() { _, err := io.Copy(io.Discard, out); done <- err }()
		data := make([]byte, burstSize)
		b.SetBytes(burstSize)
		for b.Loop() {
			if _, err := in.Write(data); err != nil {
				b.Fatal(err)
			}
		}
		if err := in.CloseWrite(); err != nil {
			b.Fatal(err)
		}
		for range 3 {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	})
}

// pump runs burst to the end and passes that on.
func pump(burst func() (int, error), dst core.Stream) error {
	for {
		if _, err := burst(); err == io.EOF {
			return dst.CloseWrite()
		} else if err != nil {
			return err
		}
	}
}

// sink is a wire that takes all.
type sink struct{ core.Stream }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkHandshake makes and reads one request over a wire in memory.
func BenchmarkHandshake(b *testing.B) {
	perMethod(b, func(b *testing.B, s stream.Spec) {
		client, server := newCipher(b, s), newCipher(b, s)
		for b.Loop() {
			near, far := coretest.Pipe()
			c, err := client.DialStream(core.AddrFrom(someone), []byte("hello"), func(hello []byte) (core.Stream, error) {
				_, err := near.Write(hello)
				return near, err
			})
			if err != nil {
				b.Fatal(err)
			}
			a, err := server.AcceptStream(far, core.Caller{Addr: someone})
			if err != nil {
				b.Fatal(err)
			}
			a.Stream.Close()
			c.Close()
		}
	})
}
