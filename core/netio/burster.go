package netio

import "github.com/umbra-proxy/umbra/core"

// Burster moves one burst of bytes from one side of a relay to the other. It returns
// the number of bytes, or io.EOF at the end of the source.
type Burster func() (int, error)

// NewBurster returns the cheapest Burster from src to dst. A cipher reads and writes
// the wire itself. The kernel splices between two bare connections. All other pairs
// are copied through a buffer that is borrowed once bytes have arrived.
func NewBurster(dst, src core.Stream) Burster {
	dst, src = writeSide(dst), readSide(src)
	if u := asUnread(src); u != nil {
		return u.burster(dst)
	}
	if w, ok := src.(core.BurstWriter); ok {
		return func() (int, error) { return w.WriteBurst(dst) }
	}
	if r, ok := dst.(core.BurstReader); ok {
		return func() (int, error) { return r.ReadBurst(src) }
	}
	if s := newSplicer(dst, src); s != nil {
		return s.burst
	}
	source := NewSource(src, wholeBuffer, nil)
	return func() (int, error) {
		buf, n, err := source.Fill(nil)
		if err != nil {
			return 0, err
		}
		defer buf.Return()
		return dst.Write(buf.B[:n])
	}
}

// wholeBuffer sets b.Pieces to one piece: all of b.B.
func wholeBuffer(b *Buffer) { b.Pieces = append(b.Pieces[:0], b.B) }
