package aead_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// BenchmarkUsers measures finding the user of a request among many: a user seen at the
// address before, another user, and noise.
func BenchmarkUsers(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		s := server(b, "aes-256-gcm", n)
		known := client(b, "aes-256-gcm", n/2)
		noise := make([]byte, 300)
		_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
		run := func(name string, flight func() []byte, from func(int) netip.AddrPort) {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					conn, far := coretest.Pipe()
					_, _ = far.Write(flight())
					_ = far.CloseWrite()
					b.StartTimer()
					a, err := s.AcceptStream(conn, core.Caller{Addr: from(i)})
					b.StopTimer()
					if err == nil {
						a.Stream.Close()
					}
					if (err == nil) != (name != "noise") {
						b.Fatal(err)
					}
					conn.Close()
					far.Close()
					b.StartTimer()
				}
			})
		}
		fresh := func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		}
		same := func(int) netip.AddrPort { return someone }
		flight := func() []byte { return flightOf(b, known) }
		run("known", flight, same)
		run("new", flight, fresh)
		run("noise", func() []byte { return noise }, fresh)
	}
}

// BenchmarkUserPackets is BenchmarkUsers for datagrams of a user at a known address.
func BenchmarkUserPackets(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := packetServer(b, server(b, "aes-256-gcm", n))
			p, _ := client(b, "aes-256-gcm", n/2).(core.PacketCipher).NewPacketClient()
			payload := make([]byte, 1400)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				wire, _ := p.AppendPacket(nil, payload, core.AddrFrom(someone))
				b.StartTimer()
				if _, err := s.Open(wire, someone); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
