package chunk

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// FuzzReader damages a valid stream and delivers it in arbitrary segments: the output must be
// a prefix of the sealed plaintext.
func FuzzReader(f *testing.F) {
	good := sealAll(f, []byte("one"), bytes.Repeat([]byte("2"), 100), []byte("three"))
	f.Add(good, []byte{1}, uint16(0), byte(0), false)
	f.Add(good, []byte{20, 1, 255}, uint16(2), byte(1), true)
	f.Add(good[:100], []byte{7}, uint16(60), byte(0x80), false)
	f.Add(append(good[:57:57], good...), []byte{0}, uint16(0), byte(0), true)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{3}, uint16(0), byte(0), true)
	plain := slices.Concat([]byte("one"), bytes.Repeat([]byte("2"), 100), []byte("three"))
	f.Fuzz(func(t *testing.T, wire, cuts []byte, at uint16, flip byte, burst bool) {
		out := netio.BuffersOut()
		wire = bytes.Clone(wire)
		if len(wire) > 0 {
			wire[int(at)%len(wire)] ^= flip
		}
		whole := bytes.Equal(wire, good)
		src := &fake{}
		for i := 0; len(wire) > 0; i++ {
			n := len(wire)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)]))
			}
			src.reads, wire = append(src.reads, wire[:n]), wire[n:]
		}
		var over core.Stream = src
		if len(cuts)%2 == 0 {
			over = ready{src}
		}
		s := NewStream(over, nil)
		s.Start(newBox(t), largest, 0)
		got, err := drained(s, burst)
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("got %d bytes that were never sealed", len(got))
		}
		if whole && (err != io.EOF || len(got) != len(plain)) {
			t.Errorf("a good stream: got %d bytes, %v", len(got), err)
		}
		s.Close()
		if n := netio.BuffersOut() - out; n != 0 {
			t.Errorf("%d buffers were not returned", n)
		}
	})
}

// drained reads s until an error.
func drained(s *Stream, burst bool) ([]byte, error) {
	dst := &fake{}
	b := make([]byte, 700)
	for {
		var err error
		if burst {
			_, err = s.WriteBurst(dst)
		} else {
			var n int
			n, err = s.Read(b)
			_, _ = dst.Write(b[:n]) // writes to a fake never fail
		}
		if err != nil {
			return dst.all(), err
		}
	}
}

// FuzzRoundTrip writes in arbitrary pieces and reads in arbitrary segments.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint16(0), []byte{1}, []byte{1})
	f.Add(uint16(3), []byte{200, 3}, []byte{0, 255})
	f.Add(uint16(largest), []byte{255, 255, 255, 255}, []byte{19})
	f.Fuzz(func(t *testing.T, most uint16, writes, cuts []byte) {
		if len(writes) > 100 {
			return
		}
		most = max(most, 1)
		wire := &fake{}
		w := NewStream(wire, nil)
		w.StartWrite(newBox(t), int(most), Head{})
		var want []byte
		for i, n := range writes {
			p := bytes.Repeat([]byte{byte(i)}, int(n)*int(n))
			if m, err := w.Write(p); m != len(p) || err != nil {
				t.Fatalf("write of %d bytes: got %d, %v", len(p), m, err)
			}
			want = append(want, p...)
		}
		in := &fake{}
		for i, b := 0, wire.all(); len(b) > 0; i++ {
			n := len(b)
			if len(cuts) > 0 {
				n = min(n, 1+17*int(cuts[i%len(cuts)]))
			}
			in.reads, b = append(in.reads, b[:n]), b[n:]
		}
		s := NewStream(in, nil)
		defer s.Close()
		s.Start(newBox(t), int(most), 0)
		if got, err := drained(s, len(cuts)%2 == 0); !bytes.Equal(got, want) || err != io.EOF {
			t.Errorf("got %d bytes, %v, want %d, io.EOF", len(got), err, len(want))
		}
	})
}
