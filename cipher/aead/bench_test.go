package aead_test

import (
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// burstSize is what one burst moves in the benchmarks, in bytes: eight chunks.
const burstSize = 8 * 0x3FFF

func perMethod(b *testing.B, run func(b *testing.B, s aead.Spec)) {
	for _, s := range aead.Specs() {
		b.Run(s.Method, func(b *testing.B) {
			b.ReportAllocs()
			run(b, s)
		})
	}
}

// BenchmarkSeal seals one burst onto a wire that costs nothing.
func BenchmarkSeal(b *testing.B) {
	perMethod(b, func(b *testing.B, s aead.Spec) {
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

// BenchmarkOpen opens one chunk in place, as the reader does.
func BenchmarkOpen(b *testing.B) {
	perMethod(b, func(b *testing.B, s aead.Spec) {
		subkey := key.Session(key.FromPassword(password, s.KeySize), make([]byte, s.KeySize))
		box, err := s.New(subkey)
		if err != nil {
			b.Fatal(err)
		}
		nonce := make([]byte, box.NonceSize())
		sealed := box.Seal(nil, nonce, make([]byte, 0x3FFF), nil)
		work := make([]byte, len(sealed))
		b.SetBytes(0x3FFF)
		for b.Loop() {
			copy(work, sealed)
			if _, err := box.Open(work[:0], nonce, work, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRelay moves bursts over loopback: plaintext in, sealed, opened,
// plaintext out, as a local and a server do together.
func BenchmarkRelay(b *testing.B) {
	perMethod(b, func(b *testing.B, s aead.Spec) {
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
		go func() { done <- pump(func() (int, error) { return client.(core.BurstReader).ReadBurst(src) }, client) }()
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
	perMethod(b, func(b *testing.B, s aead.Spec) {
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
