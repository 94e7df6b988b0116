package websocket

import (
	"fmt"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// burst is what a relay moves at once, in bytes.
const burst = 128 << 10

// BenchmarkMask masks in place, as WriteVector does.
func BenchmarkMask(b *testing.B) {
	for _, size := range []int{100, 1400, 16 << 10, burst} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p, m := make([]byte, size), newMask([4]byte{1, 2, 3, 4})
			b.SetBytes(int64(size))
			for b.Loop() {
				m = m.apply(p, p)
			}
		})
	}
}

// BenchmarkTransfer sends bursts one way, as a relay reads and writes them.
func BenchmarkTransfer(b *testing.B) {
	for _, tc := range []struct {
		name string
		ends func(b *testing.B) (from, to core.Stream)
	}{
		{"client to server", func(b *testing.B) (core.Stream, core.Stream) { return established(b) }},
		{"server to client", func(b *testing.B) (core.Stream, core.Stream) { c, s := established(b); return s, c }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			from, to := tc.ends(b)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for p := make([]byte, burst); ; {
					if err := to.(core.Waiter).WaitRead(); err != nil {
						b.Error(err)
						return
					}
					if _, err := to.Read(p); err != nil {
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
				if _, err := from.Write(p); err != nil {
					b.Fatal(err)
				}
			}
			if err := from.CloseWrite(); err != nil {
				b.Error(err)
			}
			<-done
			from.Close()
			to.Close()
		})
	}
}
