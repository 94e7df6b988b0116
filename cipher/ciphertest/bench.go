package ciphertest

import (
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// burstSize is the number of bytes of one burst in the benchmarks: eight chunks of the size
// that AEAD methods send.
const burstSize = 8 * 0x3FFF

// sink is a wire that discards all writes.
type sink struct{ core.Stream }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// over starts a client stream of c on a wire.
func over(b *testing.B, c core.Cipher, wire core.Stream, payload []byte) core.Stream {
	b.Helper()
	s, err := c.DialStream(core.AddrFrom(someone), payload, func(hello []byte) (core.Stream, error) {
		_, err := wire.Write(hello)
		return wire, err
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// taken accepts a stream on a wire with a server of c.
func taken(b *testing.B, c core.Cipher, wire core.Stream) core.Stream {
	b.Helper()
	a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
	if err != nil {
		b.Fatal(err)
	}
	return a.Stream
}

// BenchmarkSeal measures bursts to a wire that discards them.
func BenchmarkSeal(b *testing.B, newCipher func(t testing.TB) core.Cipher) {
	client := over(b, newCipher(b), sink{}, nil)
	data := make([]byte, burstSize)
	b.ReportAllocs()
	b.SetBytes(burstSize)
	for b.Loop() {
		if _, err := client.Write(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRelay measures bursts over loopback: plaintext in, sealed, opened, plaintext
// out, as in a client and a server together.
func BenchmarkRelay(b *testing.B, newCipher func(t testing.TB) core.Cipher) {
	in, src := coretest.LoopbackPair(b)
	wireA, wireB := coretest.LoopbackPair(b)
	dst, out := coretest.LoopbackPair(b)
	client := over(b, newCipher(b), wireA, nil)
	server := taken(b, newCipher(b), wireB)
	fill, ok := client.(core.BurstReader)
	if !ok {
		b.Skip("its stream is the wire itself")
	}
	done := make(chan error, 2)
	go func() { done <- pump(func() (int, error) { return fill.ReadBurst(src) }, client) }()
	go func() { done <- pump(func() (int, error) { return server.(core.BurstWriter).WriteBurst(dst) }, dst) }()
	go func() { _, err := io.Copy(io.Discard, out); done <- err }()
	data := make([]byte, burstSize)
	b.ReportAllocs()
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
}

// pump calls burst until io.EOF, and then closes the sending side of dst.
func pump(burst func() (int, error), dst core.Stream) error {
	for {
		if _, err := burst(); errors.Is(err, io.EOF) {
			return dst.CloseWrite()
		} else if err != nil {
			return err
		}
	}
}

// BenchmarkHandshake measures making and reading one request over a wire in memory.
func BenchmarkHandshake(b *testing.B, newCipher func(t testing.TB) core.Cipher) {
	client, server := newCipher(b), newCipher(b)
	b.ReportAllocs()
	for b.Loop() {
		near, far := coretest.Pipe()
		c := over(b, client, near, []byte("hello"))
		taken(b, server, far).Close()
		c.Close()
	}
}

// BenchmarkPacket measures sealing and opening one datagram.
func BenchmarkPacket(b *testing.B, newCipher func(t testing.TB) core.Cipher) {
	client, server := PacketPair(b, newCipher(b).(core.PacketCipher))
	payload, memory := coretest.Pattern(1400, 1), make([]byte, 0, 2000)
	addr := core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:443"))
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		wire, err := client.AppendPacket(memory, payload, addr)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := server.Open(wire, netip.AddrPort{}); err != nil {
			b.Fatal(err)
		}
	}
}
