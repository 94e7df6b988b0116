package ssh

import (
	"io"
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
)

// BenchmarkThrough moves bytes through OpenSSH's server, by the relay's own bursts.
func BenchmarkThrough(b *testing.B) {
	s := peer.SSHServer(b)
	d := over(b, newOutbound(b, options(b, s)), dial.Net{})
	for _, name := range []string{"up", "down"} {
		b.Run(name, func(b *testing.B) {
			const chunk = 128 << 10
			b.SetBytes(chunk)
			st, far := pair(b, d)
			near, client := coretest.LoopbackPair(b)
			move, from, to := netio.NewBurster(near, st), net.Conn(far), io.Reader(client)
			if name == "up" {
				move, from, to = netio.NewBurster(st, near), client, far
			}
			b.ResetTimer()
			coretest.Together(func() {
				buf := make([]byte, chunk)
				for range b.N {
					coretest.Write(b, from, buf)
				}
			}, func() {
				for left := int64(b.N) * chunk; left > 0; {
					n, err := move()
					if left -= int64(n); err != nil {
						b.Error(err)
						return
					}
				}
			}, func() { _, _ = io.CopyN(io.Discard, to, int64(b.N)*chunk) })
		})
	}
}
