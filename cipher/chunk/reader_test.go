package chunk

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// TestWriteBurstCoalesces checks the number of pieces for the chunks of one read.
func TestWriteBurstCoalesces(t *testing.T) {
	for _, tc := range []struct {
		name     string
		payloads [][]byte
		pieces   []int // of each burst; 0 for a single write
	}{
		{"tiny", numbered(200, 1), []int{0}},
		{"small", numbered(50, smallPiece), []int{0}},
		{"over small", numbered(10, smallPiece+1), []int{10}},
		{"many over small", numbered(40, smallPiece+1), []int{16, 16, 8}},
		{"small behind large", [][]byte{make([]byte, 9000), []byte("a"), []byte("b"), make([]byte, 9000), []byte("c")}, []int{2}},
		{"largest", numbered(8, largest), []int{8}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wire := sealAll(t, tc.payloads...)
			s := opening(t, ready{&fake{reads: [][]byte{wire}}}, largest)
			dst := &vector{}
			for _, want := range tc.pieces {
				bursts, writes := len(dst.pieces), len(dst.wrote)
				if _, err := s.WriteBurst(dst); err != nil {
					t.Fatal(err)
				}
				if len(dst.wrote) != writes+1 {
					t.Fatalf("got %d writes, want 1", len(dst.wrote)-writes)
				}
				if got := append(dst.pieces[bursts:], 0)[0]; got != want {
					t.Errorf("got %d pieces, want %d", got, want)
				}
			}
			if _, err := s.WriteBurst(dst); err != io.EOF {
				t.Errorf("at the end: got %v, want io.EOF", err)
			}
			if !bytes.Equal(dst.all(), slices.Concat(tc.payloads...)) {
				t.Error("got other bytes than were sent")
			}
		})
	}
}

// TestReaderCompacts reads more than a buffer, in segments that never end at the end of a
// chunk.
func TestReaderCompacts(t *testing.T) {
	payloads := numbered(60, 5000)
	wire := sealAll(t, payloads...)
	for _, wrap := range []func(*fake) core.Stream{
		func(f *fake) core.Stream { return f },
		func(f *fake) core.Stream { return ready{f} },
	} {
		f := &fake{}
		for part := range slices.Chunk(wire, 7001) {
			f.reads = append(f.reads, part)
		}
		got, err := io.ReadAll(opening(t, wrap(f), largest))
		if !bytes.Equal(got, slices.Concat(payloads...)) || err != nil {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
}

// TestReaderGrows reads chunks larger than a small buffer, over a wire for which only small
// buffers are borrowed.
func TestReaderGrows(t *testing.T) {
	payloads := numbered(3, 0xFFFF)
	f := &fake{reads: [][]byte{sealAll(t, payloads...)}}
	got, err := io.ReadAll(opening(t, f, 0xFFFF))
	if !bytes.Equal(got, slices.Concat(payloads...)) || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestPeekTooMuch peeks more than any buffer holds.
func TestPeekTooMuch(t *testing.T) {
	s := opening(t, ready{&fake{reads: [][]byte{make([]byte, 1<<20)}}}, largest)
	if _, err := s.Peek(1 << 19); !errors.Is(err, core.ErrMalformed) {
		t.Errorf("got %v, want core.ErrMalformed", err)
	}
}

func TestPeekAndSkip(t *testing.T) {
	f := &fake{reads: [][]byte{[]byte("ab"), []byte("cd"), append([]byte("ef"), sealAll(t, []byte("hello"))...)}}
	s := NewStream(f, nil)
	defer s.Close()
	for _, n := range []int{1, 3} {
		if b, err := s.Peek(n); string(b) != "abc"[:n] || err != nil {
			t.Fatalf("peek %d: got %q, %v", n, b, err)
		}
	}
	s.Skip(2)
	if b, err := s.Peek(4); string(b) != "cdef" || err != nil {
		t.Fatalf("got %q, %v, want cdef", b, err)
	}
	lent := s.SkipFor(4, []byte("xyz"))
	s.Start(newBox(t), largest, 0)
	if string(lent) != "xyz" {
		t.Errorf("lent %q, want xyz", lent)
	}
	if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
		t.Errorf("got %q, %v, want hello", got, err)
	}
}

// TestSkipFor checks when the payload of a request holds a buffer.
func TestSkipFor(t *testing.T) {
	for _, tc := range []struct {
		payload, behind int // in bytes
		held            int // buffers
	}{
		{0, 0, 0}, {maxStash, 0, 0}, {maxStash + 1, 0, 1}, {10, 1, 1},
	} {
		payload := bytes.Repeat([]byte("p"), tc.payload)
		wire := append(bytes.Repeat([]byte("w"), tc.payload+50), make([]byte, tc.behind)...)
		s := opening(t, ready{&fake{reads: [][]byte{wire}}}, largest)
		out := netio.BuffersOut()
		if _, err := s.Peek(tc.payload + 50); err != nil {
			t.Fatal(err)
		}
		kept := s.SkipFor(tc.payload+50, payload)
		clear(payload)
		if string(kept) != strings.Repeat("p", tc.payload) || len(s.Buffered()) != tc.behind {
			t.Errorf("%d bytes: got %d others and %d behind them, want %d", tc.payload, len(kept), len(s.Buffered()), tc.behind)
		}
		if held := netio.BuffersOut() - out; held != tc.held {
			t.Errorf("%d bytes and %d behind: %d buffers are held, want %d", tc.payload, tc.behind, held, tc.held)
		}
	}
}

// TestPeekEnds checks the two ends that a handshake can encounter.
func TestPeekEnds(t *testing.T) {
	for _, tc := range []struct {
		reads [][]byte
		want  error
	}{
		{nil, io.EOF}, {[][]byte{[]byte("a")}, io.ErrUnexpectedEOF},
	} {
		s := opening(t, &fake{reads: tc.reads}, largest)
		if _, err := s.Peek(2); err != tc.want {
			t.Errorf("%d bytes: got %v, want %v", len(tc.reads), err, tc.want)
		}
	}
}

// TestKnownLength opens a first chunk whose length was in a header, also from a stash.
func TestKnownLength(t *testing.T) {
	for n := 1; n < 4; n++ {
		want := bytes.Repeat([]byte("x"), n)
		box := newBox(t)
		sealed := box.Seal(nil, want)

		s := NewStream(&fake{}, nil)
		s.Start(newBox(t), largest, n)
		s.stash = sealed
		got, err := s.next()
		if !bytes.Equal(got, want) || err != nil {
			t.Errorf("%d bytes: got %q, %v", n, got, err)
		}
		s.Close()
	}
}

// TestWaitRead checks that a complete chunk counts as ready, and that waiting releases the
// buffer of few bytes.
func TestWaitRead(t *testing.T) {
	wire := sealAll(t, []byte("one"), []byte("two"))
	half := len(wire)/2 + 5
	f := &fake{reads: [][]byte{wire[:half], wire[half:]}}
	s := opening(t, ready{f}, largest)
	out := netio.BuffersOut()
	for _, want := range []string{"one", "two"} {
		for range 3 {
			if err := s.WaitRead(); err != nil {
				t.Fatal(err)
			}
		}
		b := make([]byte, 9)
		if n, err := s.Read(b); string(b[:n]) != want || err != nil {
			t.Fatalf("got %q, %v, want %s", b[:n], err, want)
		}
	}
	if err := s.WaitRead(); err != nil {
		t.Errorf("at the end: got %v, want nil", err)
	}
	if n := netio.BuffersOut() - out; n != 0 {
		t.Errorf("holds %d buffers while it waits, want none", n)
	}
}

// TestWaitReadOpaque waits on a wire that does not support waiting: WaitRead returns after
// bytes have arrived.
func TestWaitReadOpaque(t *testing.T) {
	f := &fake{reads: [][]byte{sealAll(t, []byte("one"))}}
	s := opening(t, f, largest)
	if err := s.WaitRead(); err != nil || len(f.reads[0]) != 0 {
		t.Errorf("got %v with %d bytes unread, want nil and none", err, len(f.reads[0]))
	}
	if got, err := io.ReadAll(s); string(got) != "one" || err != nil {
		t.Errorf("got %q, %v, want one", got, err)
	}
	if err := s.WaitRead(); err != nil {
		t.Errorf("at the end: got %v, want nil", err)
	}
}

// TestWriteBurstFails makes the destination fail, also by a deadline: bytes are lost, so the
// stream must end.
func TestWriteBurstFails(t *testing.T) {
	for _, cause := range []error{net.ErrClosed, os.ErrDeadlineExceeded} {
		s := opening(t, ready{&fake{reads: [][]byte{sealAll(t, numbered(5, 3000)...)}}}, largest)
		dst := &fake{write: func([]byte) (int, error) { return 10, cause }}
		if n, err := s.WriteBurst(dst); n != 10 || !errors.Is(err, cause) {
			t.Errorf("got %d, %v, want 10, %v", n, err, cause)
		}
		dst.write = nil
		if n, err := s.WriteBurst(dst); n != 0 || !errors.Is(err, cause) {
			t.Errorf("again: got %d, %v, want 0, %v", n, err, cause)
		}
		if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, cause) {
			t.Errorf("read: got %d, %v, want 0, %v", n, err, cause)
		}
	}
}

// TestBegin checks that the headers before the first chunk are read again after a deadline,
// and that an error of begin is returned again.
func TestBegin(t *testing.T) {
	calls, answers := 0, []error{os.ErrDeadlineExceeded, nil}
	f := &fake{reads: [][]byte{sealAll(t, []byte("hello"))}}
	s := NewStream(f, func(r *Reader) error {
		calls++
		r.Start(newBox(t), largest, 0)
		return answers[calls-1]
	})
	defer s.Close()
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want os.ErrDeadlineExceeded", err)
	}
	if got, err := io.ReadAll(s); string(got) != "hello" || err != nil || calls != 2 {
		t.Errorf("got %q, %v after %d calls, want hello after 2", got, err, calls)
	}

	bad := NewStream(&fake{}, func(*Reader) error { return core.ErrClock })
	defer bad.Close()
	for range 2 {
		if _, err := bad.Read(make([]byte, 1)); !errors.Is(err, core.ErrClock) {
			t.Errorf("got %v, want core.ErrClock", err)
		}
	}
}

func TestReadNothing(t *testing.T) {
	s := opening(t, &fake{reads: [][]byte{[]byte(strings.Repeat("x", 100))}}, largest)
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("got %d, %v, want 0, nil", n, err)
	}
}
