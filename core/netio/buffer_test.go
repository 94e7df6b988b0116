package netio_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// While very many big buffers are out, small ones are lent, and big ones again
// when some have come back.
func TestBufferBudget(t *testing.T) {
	const most = 256
	if n := netio.BuffersOut(); n != 0 {
		t.Fatalf("buffers out: got %d, want 0: an earlier test left them", n)
	}
	var out []*netio.Buffer
	defer func() {
		for _, b := range out {
			b.Return()
		}
		if n := netio.BuffersOut(); n != 0 {
			t.Errorf("buffers out at the end: got %d, want 0", n)
		}
	}()
	borrow := func(want int) {
		t.Helper()
		b := netio.BorrowBuffer()
		out = append(out, b)
		if len(b.B) != want {
			t.Fatalf("buffer %d: got %d bytes, want %d", len(out), len(b.B), want)
		}
	}
	for range most {
		borrow(netio.BigBuffer)
	}
	borrow(netio.SmallBuffer)
	borrow(netio.SmallBuffer)
	if n := netio.BuffersOut(); n != most+2 {
		t.Errorf("buffers out: got %d, want %d", n, most+2)
	}
	out[0].Return()
	out = out[1:]
	borrow(netio.BigBuffer)
	borrow(netio.SmallBuffer)
}

func TestBufferReturn(t *testing.T) {
	(*netio.Buffer)(nil).Return()
	for _, borrow := range []func() *netio.Buffer{netio.BorrowBuffer, netio.BorrowSmallBuffer} {
		b := borrow()
		for range 100 { // more than there is room for
			b.Pieces = append(b.Pieces, []byte("x"))
		}
		b.Return()
		if b = borrow(); len(b.Pieces) != 0 {
			t.Errorf("pieces of a fresh buffer: got %d, want none", len(b.Pieces))
		}
		b.Return()
	}
}

// vectored is a stream that takes pieces in one call.
type vectored struct {
	core.Stream
	calls int
}

func (v *vectored) WriteVector(pieces [][]byte) (int, error) {
	v.calls++
	total := 0
	for _, p := range pieces {
		n, err := v.Write(p)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

func TestWritePieces(t *testing.T) {
	data := coretest.Pattern(10_000, 1)
	for _, cut := range [][]int{{10_000}, {1, 9_999}, {0, 5_000, 0, 5_000}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 9_864}} {
		for _, pair := range coretest.Pairs {
			for _, vector := range []bool{false, true} {
				near, far := pair.Make(t)
				to, v := near, &vectored{Stream: near}
				if vector {
					to = v
				}
				b := netio.BorrowBuffer()
				rest := data
				for _, n := range cut {
					b.Pieces = append(b.Pieces, rest[:n])
					rest = rest[n:]
				}
				if n, err := b.WritePieces(to); n != len(data) || err != nil {
					t.Errorf("%s, pieces of %d: got %d, %v, want %d, nil", pair.Name, cut, n, err, len(data))
				}
				b.Return()
				coretest.Read(t, far, data)
				if want := len(cut) > 1; vector && (v.calls == 1) != want {
					t.Errorf("%s, pieces of %d: got %d vectored writes, want one %t", pair.Name, cut, v.calls, want)
				}
				near.Close()
				if n, err := lend(data).WritePieces(near); n != 0 || err == nil {
					t.Errorf("%s, after close: got %d, %v, want 0, an error", pair.Name, n, err)
				}
				far.Close()
			}
		}
	}
}

// lend returns a buffer with data in two pieces. It is left to the collector.
func lend(data []byte) *netio.Buffer {
	return &netio.Buffer{Pieces: [][]byte{data[:10], data[10:]}}
}
