package aead2022

import (
	"io"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func perSetting(b *testing.B, run func(b *testing.B, s setting)) {
	for _, s := range settings() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, s)
		})
	}
}

// perCipher runs a benchmark of the kit for each setting.
func perCipher(b *testing.B, run func(b *testing.B, newCipher func(t testing.TB) core.Cipher)) {
	perSetting(b, func(b *testing.B, s setting) {
		run(b, func(t testing.TB) core.Cipher { return fresh(t, s.spec, s.keys) })
	})
}

func BenchmarkSeal(b *testing.B)  { perCipher(b, ciphertest.BenchmarkSeal) }
func BenchmarkRelay(b *testing.B) { perCipher(b, ciphertest.BenchmarkRelay) }

// BenchmarkHandshake makes and reads one request, and one answer, over a wire in
// memory.
func BenchmarkHandshake(b *testing.B) {
	perSetting(b, func(b *testing.B, s setting) {
		client, server := fresh(b, s.spec, s.keys), fresh(b, s.spec, s.keys)
		answer := make([]byte, 5)
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
			if _, err := a.Stream.Write(answer); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, answer); err != nil {
				b.Fatal(err)
			}
			a.Stream.Close()
			c.Close()
		}
	})
}

// packetWork seals and opens a request and a reply, in reused memory.
func packetWork(t testing.TB, s setting, payload []byte) func() {
	client, server := fresh(t, s.spec, s.keys), fresh(t, s.spec, s.keys)
	p, srv := clientOf(t, client), serverOf(t, server)
	memory, to := make([]byte, 0, 2000), addr(t, "example.com:443")
	return func() {
		wire, err := p.AppendPacket(memory, payload, to)
		if err != nil {
			t.Fatal(err)
		}
		o, err := srv.Open(wire, someone)
		if err != nil {
			t.Fatal(err)
		}
		if wire, err = o.Session.AppendPacket(memory, payload, to); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.OpenPacket(wire); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPacketAllocs checks that datagrams of a running session cause no allocations.
func TestPacketAllocs(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		if n := testing.AllocsPerRun(500, packetWork(t, s, coretest.Pattern(1200, 1))); n != 0 {
			t.Errorf("got %v allocations for a request and a reply, want none", n)
		}
	})
}

// BenchmarkPacket seals and opens a request and a reply.
func BenchmarkPacket(b *testing.B) {
	perSetting(b, func(b *testing.B, s setting) {
		work := packetWork(b, s, coretest.Pattern(1400, 1))
		b.SetBytes(2 * 1400)
		for b.Loop() {
			work()
		}
	})
}

// BenchmarkForgedPacket drops a datagram of noise, the most common one.
func BenchmarkForgedPacket(b *testing.B) {
	perSetting(b, func(b *testing.B, s setting) {
		srv := serverOf(b, fresh(b, s.spec, s.keys))
		noise := coretest.Pattern(1200, 3)
		for b.Loop() {
			if _, err := srv.Open(noise, someone); err == nil {
				b.Fatal("noise was opened")
			}
		}
	})
}

// BenchmarkSessionBegins measures datagrams that each begin a session.
func BenchmarkSessionBegins(b *testing.B) {
	perSetting(b, func(b *testing.B, s setting) {
		c := fresh(b, s.spec, s.keys)
		p, srv := clientOf(b, c), serverOf(b, c)
		now := time.Now()
		at(c, now)
		memory, to := make([]byte, 0, 2000), addr(b, "192.0.2.1:443")
		for b.Loop() {
			b.StopTimer()
			fresh, err := c.newPacketClient(p.sessionID + 1)
			if err != nil {
				b.Fatal(err)
			}
			p = fresh
			wire, err := p.AppendPacket(memory, nil, to)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := srv.Open(wire, someone); err != nil {
				b.Fatal(err)
			}
		}
	})
}
