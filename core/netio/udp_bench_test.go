package netio_test

import (
	"fmt"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// BenchmarkUDPSocket sends bursts of 1,200 bytes a datagram to a socket that
// sends them back, over loopback. An operation is one datagram there and back.
func BenchmarkUDPSocket(b *testing.B) {
	for _, size := range []int{1, 32} {
		b.Run(fmt.Sprintf("burst=%d", size), func(b *testing.B) {
			far, near := coretest.ListenUDP(b, "127.0.0.1:0"), coretest.ListenUDP(b, "127.0.0.1:0")
			panicked := func(err error) { b.Errorf("a sink panicked: %v", err) }
			if err := far.Receive(func(ds []netio.Datagram) { _, _ = far.Send(ds) }, panicked); err != nil {
				b.Fatal(err)
			}
			back := make(chan int, 2*size)
			if err := near.Receive(func(ds []netio.Datagram) { back <- len(ds) }, panicked); err != nil {
				b.Fatal(err)
			}
			ds := make([]netio.Datagram, size)
			for i := range ds {
				ds[i] = netio.Datagram{Peer: far.Addr(), Data: make([]byte, 1200)}
			}
			b.SetBytes(1200)
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= size {
				n, err := near.Send(ds[:min(size, left)])
				if err != nil {
					b.Fatal(err)
				}
				for n > 0 {
					n -= <-back // loopback loses nothing of so few
				}
			}
		})
	}
}
