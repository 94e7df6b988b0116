package chunk

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// largest is the maximum payload of SIP004 in bytes.
const largest = 0x3FFF

// newBox returns a Box of a fixed key at nonce 0.
func newBox(t testing.TB) Box {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return NewBox(aead)
}

// sealAll returns the chunks of payloads, sealed without the Writer.
func sealAll(t testing.TB, payloads ...[]byte) []byte {
	t.Helper()
	box, wire := newBox(t), []byte(nil)
	for _, p := range payloads {
		wire = box.Seal(wire, binary.BigEndian.AppendUint16(nil, uint16(len(p))))
		wire = box.Seal(wire, p)
	}
	return wire
}

// numbered returns n payloads of size bytes.
func numbered(n, size int) [][]byte {
	var all [][]byte
	for i := range n {
		all = append(all, bytes.Repeat([]byte{byte(i + 1)}, size))
	}
	return all
}

// fake is a wire or a destination: each Read returns one segment of reads, and each Write is
// recorded.
type fake struct {
	reads [][]byte
	write func(p []byte) (int, error) // nil to accept everything
	wrote [][]byte
	ended bool
}

var _ core.Stream = (*fake)(nil)

func (f *fake) Read(p []byte) (int, error) {
	for len(f.reads) > 0 && len(f.reads[0]) == 0 {
		f.reads = f.reads[1:]
	}
	if len(f.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.reads[0])
	f.reads[0] = f.reads[0][n:]
	return n, nil
}

func (f *fake) Write(p []byte) (int, error) {
	if f.write != nil {
		return f.write(p)
	}
	f.wrote = append(f.wrote, bytes.Clone(p))
	return len(p), nil
}

func (f *fake) all() []byte { return slices.Concat(f.wrote...) }

func (f *fake) CloseWrite() error              { f.ended = true; return nil }
func (*fake) Close() error                     { return nil }
func (*fake) LocalAddr() net.Addr              { return nil }
func (*fake) RemoteAddr() net.Addr             { return nil }
func (*fake) SetDeadline(time.Time) error      { return nil }
func (*fake) SetReadDeadline(time.Time) error  { return nil }
func (*fake) SetWriteDeadline(time.Time) error { return nil }

// ready is a fake that supports waiting, so that it is read into big buffers.
type ready struct{ *fake }

func (ready) WaitRead() error { return nil }

// vector is a destination that accepts several pieces in one call, and counts them.
type vector struct {
	fake
	pieces []int // of each WriteVector
}

func (v *vector) WriteVector(pieces [][]byte) (int, error) {
	v.pieces = append(v.pieces, len(pieces))
	return v.Write(slices.Concat(pieces...))
}

// opening returns a Stream that opens the bytes of wire.
func opening(t testing.TB, wire core.Stream, most int) *Stream {
	t.Helper()
	out := netio.BuffersOut()
	s := NewStream(wire, nil)
	s.Start(newBox(t), most, 0)
	t.Cleanup(func() {
		s.Close()
		if n := netio.BuffersOut() - out; n != 0 {
			t.Errorf("%d buffers were not returned", n)
		}
	})
	return s
}

func TestBoxCounts(t *testing.T) {
	b := newBox(t)
	b.nonce = [maxNonce]byte{0xFE, 0xFF}
	for _, want := range [][]byte{{0xFF, 0xFF, 0}, {0, 0, 1}, {1, 0, 1}} {
		b.Seal(nil, []byte("x"))
		if !bytes.Equal(b.nonce[:3], want) {
			t.Errorf("got nonce %x, want %x", b.nonce[:3], want)
		}
	}
}

func TestBoxStaysAfterFailure(t *testing.T) {
	sealed := sealAll(t, []byte("x"))
	b := newBox(t)
	bad := bytes.Clone(sealed[:18])
	bad[0] ^= 1
	if _, err := b.Open(nil, bad); err == nil {
		t.Fatal("opened a changed message")
	}
	if n, err := b.Open(nil, sealed[:18]); !bytes.Equal(n, []byte{0, 1}) || err != nil {
		t.Errorf("got %x, %v, want 0001", n, err)
	}
}

func TestCheckLength(t *testing.T) {
	for _, tc := range []struct {
		n, largest int
		ok         bool
	}{
		{0, largest, false}, {1, largest, true}, {largest, largest, true}, {largest + 1, largest, false},
		{0x4001, largest, false}, {0xC001, largest, false}, {0xFFFF, largest, false}, {0xFFFF, 0xFFFF, true},
	} {
		err := CheckLength(tc.n, tc.largest)
		if (err == nil) != tc.ok || err != nil && (!errors.Is(err, core.ErrMalformed) || !core.IsAuthenticated(err)) {
			t.Errorf("%#x of %#x: got %v, want nil %t", tc.n, tc.largest, err, tc.ok)
		}
	}
}
