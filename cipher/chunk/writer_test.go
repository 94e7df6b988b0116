package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// sealing returns a Stream that seals to wire.
func sealing(t testing.TB, wire core.Stream, most int, head Head) *Stream {
	t.Helper()
	s := NewStream(wire, nil)
	s.StartWrite(newBox(t), most, head)
	t.Cleanup(func() { s.Close() })
	return s
}

// unseal opens wire, which must end with a chunk.
func unseal(t testing.TB, wire []byte, most int) []byte {
	t.Helper()
	s := NewStream(ready{&fake{reads: [][]byte{wire}}}, nil)
	defer s.Close()
	s.Start(newBox(t), most, 0)
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(b), err)
	}
	return b
}

func TestWrite(t *testing.T) {
	for _, most := range []int{1, 100, largest, 0xFFFF} {
		for _, n := range []int{0, 1, 100, 101, smallWrite, smallWrite + 1, 50_000, 300_000} {
			t.Run(fmt.Sprintf("%d bytes in chunks of %d", n, most), func(t *testing.T) {
				wire := &fake{}
				s := sealing(t, wire, most, Head{})
				data := coretest.Pattern(n, 1)
				if got, err := s.Write(data); got != n || err != nil {
					t.Fatalf("got %d, %v, want %d", got, err, n)
				}
				if n == 0 && len(wire.wrote) > 0 {
					t.Error("an empty write reached the wire")
				}
				if !bytes.Equal(unseal(t, wire.all(), most), data) {
					t.Error("other bytes arrived")
				}
			})
		}
	}
}

// TestWriteVector checks that many pieces are sent in one write.
func TestWriteVector(t *testing.T) {
	wire := &fake{}
	s := sealing(t, wire, largest, Head{})
	pieces := append(numbered(16, 3000), nil, []byte("x"))
	want := slices.Concat(pieces...)
	if n, err := s.WriteVector(pieces); n != len(want) || err != nil {
		t.Fatalf("got %d, %v, want %d", n, err, len(want))
	}
	if len(wire.wrote) != 1 {
		t.Errorf("got %d writes, want 1", len(wire.wrote))
	}
	if !bytes.Equal(unseal(t, wire.all(), largest), want) {
		t.Error("other bytes arrived")
	}
}

// TestHead checks that the head is sent once, before the first payload, with its length.
func TestHead(t *testing.T) {
	for name, send := range map[string]func(s *Stream, data []byte) (int, error){
		"write": func(s *Stream, data []byte) (int, error) { return s.Write(data) },
		"burst": func(s *Stream, data []byte) (int, error) {
			return s.ReadBurst(ready{&fake{reads: [][]byte{data}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var lengths []int
			wire := &fake{}
			s := sealing(t, wire, largest, Head{Size: 5, Put: func(dst []byte, _ *Box, n int) {
				lengths = append(lengths, n)
				copy(dst, "HEAD!")
			}})
			for _, data := range []string{"one", "two"} {
				if n, err := send(s, []byte(data)); n != 3 || err != nil {
					t.Fatalf("got %d, %v, want 3", n, err)
				}
			}
			box := newBox(t)
			first := box.Seal([]byte("HEAD!"), []byte("one"))
			second := box.Seal(box.Seal(nil, []byte{0, 3}), []byte("two"))
			if !slices.Equal(lengths, []int{3}) || !bytes.Equal(wire.all(), append(first, second...)) {
				t.Errorf("got lengths %d and wire %x, want [3] and %x", lengths, wire.all(), append(first, second...))
			}
		})
	}
}

// TestReadBurst checks that a burst from a socket is sent as several chunks in one write.
func TestReadBurst(t *testing.T) {
	near, far := coretest.LoopbackPair(t)
	data := coretest.Pattern(3*largest+5, 1)
	if _, err := far.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wire := &fake{}
	s := sealing(t, wire, largest, Head{})
	moved, bursts := 0, 0
	for {
		n, err := s.ReadBurst(near)
		moved += n
		if err == io.EOF {
			break
		}
		if bursts++; err != nil {
			t.Fatal(err)
		}
	}
	if moved != len(data) || len(wire.wrote) != bursts {
		t.Errorf("got %d bytes in %d writes, want %d in %d", moved, len(wire.wrote), len(data), bursts)
	}
	if !bytes.Equal(unseal(t, wire.all(), largest), data) {
		t.Error("other bytes arrived")
	}
}

func TestWriteErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name  string
		write func([]byte) (int, error)
		want  error
	}{
		{"error", func([]byte) (int, error) { return 0, broken }, broken},
		{"part", func(p []byte) (int, error) { return len(p) - 1, broken }, broken},
		{"short write", func(p []byte) (int, error) { return len(p) - 1, nil }, io.ErrShortWrite},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := netio.BuffersOut()
			wire := &fake{write: tc.write}
			s := sealing(t, wire, largest, Head{})
			src := ready{&fake{reads: [][]byte{[]byte("x")}}}
			if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, tc.want) {
				t.Errorf("write: got %d, %v, want 0, %v", n, err, tc.want)
			}
			wire.write = nil
			if n, err := s.ReadBurst(src); n != 0 || !errors.Is(err, tc.want) || len(src.reads) == 0 {
				t.Errorf("burst after it: got %d, %v, want 0, %v and nothing read", n, err, tc.want)
			}
			if len(wire.wrote) > 0 {
				t.Error("a broken stream wrote again")
			}
			if n := netio.BuffersOut() - out; n != 0 {
				t.Errorf("%d buffers were not returned", n)
			}
		})
	}
}

func TestCloseWrite(t *testing.T) {
	wire := &fake{}
	s := sealing(t, wire, largest, Head{Size: 1, Put: func([]byte, *Box, int) {}})
	if err := s.CloseWrite(); err != nil || !wire.ended {
		t.Errorf("got %v, ended %t, want nil, true", err, wire.ended)
	}
	if n, err := s.Write([]byte("x")); n != 0 || err == nil || len(wire.wrote) > 0 {
		t.Errorf("write after it: got %d, %v and %d writes, want an error", n, err, len(wire.wrote))
	}
}
