package netio_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
)

// whole makes all of a buffer one piece, halves makes it two.
func whole(b *netio.Buffer)  { b.Pieces = append(b.Pieces[:0], b.B) }
func halves(b *netio.Buffer) { b.Pieces = append(b.Pieces[:0], b.B[:100], b.B[200:]) }

// eachSource runs f with a stream of each kind that a Source tells apart.
func eachSource(t *testing.T, f func(t *testing.T, near, far core.Stream)) {
	for _, tc := range []coretest.Pair{
		coretest.Pairs[0], coretest.Pairs[1],
		{Name: "plain", Make: func(testing.TB) (a, b core.Stream) {
			near, far := coretest.Pipe()
			return struct{ core.Stream }{near}, far // no core.Waiter
		}},
	} {
		t.Run(tc.Name, func(t *testing.T) {
			before := netio.BuffersOut()
			near, far := tc.Make(t)
			f(t, near, far)
			near.Close()
			far.Close()
			if n := netio.BuffersOut(); n > before {
				t.Errorf("buffers out: got %d, want %d", n, before)
			}
		})
	}
}

func TestSourceFill(t *testing.T) {
	eachSource(t, func(t *testing.T, near, far core.Stream) {
		source := netio.NewSource(near, whole, nil)
		coretest.Write(t, far, []byte("first"))
		buf, n, err := source.Fill(nil)
		if err != nil || string(buf.B[:n]) != "first" {
			t.Fatalf("got %d, %v, want the first bytes", n, err)
		}
		coretest.Write(t, far, []byte("second"))
		again, n, err := source.Fill(buf)
		if again != buf || err != nil || string(buf.B[:n]) != "second" {
			t.Fatalf("with a held buffer: got %d, %v, same buffer %t, want the second bytes in it", n, err, again == buf)
		}
		coretest.CloseWrite(t, far)
		if again, n, err := source.Fill(buf); again != buf || n != 0 || err != io.EOF {
			t.Errorf("at the end, with a held buffer: got %d, %v, same buffer %t, want 0, io.EOF, it", n, err, again == buf)
		}
		buf.Return()
		if buf, n, err := source.Fill(nil); buf != nil || n != 0 || err != io.EOF {
			t.Errorf("at the end: got %v, %d, %v, want nil, 0, io.EOF", buf, n, err)
		}
	})
}

// A bare stream is read into all pieces at once, others into the first.
func TestSourcePieces(t *testing.T) {
	data := coretest.Pattern(1000, 1)
	eachSource(t, func(t *testing.T, near, far core.Stream) {
		source := netio.NewSource(near, halves, nil)
		coretest.Write(t, far, data)
		var got []byte
		for len(got) < len(data) {
			buf, n, err := source.Fill(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range buf.Pieces {
				p = p[:min(n, len(p))]
				got, n = append(got, p...), n-len(p)
			}
			buf.Return()
		}
		if string(got) != string(data) {
			t.Error("the bytes differ")
		}
	})
}

// A held buffer is given up before a wait if its holder can do without it.
func TestSourceIdle(t *testing.T) {
	for _, gives := range []bool{true, false} {
		eachSource(t, func(t *testing.T, near, far core.Stream) {
			if _, waits := near.(core.Waiter); !waits && netio.Bare(near) == nil {
				t.Skip("a buffer is held while it waits")
			}
			asked := make(chan struct{}, 8)
			source := netio.NewSource(near, whole, func(*netio.Buffer) bool {
				asked <- struct{}{}
				return gives
			})
			type result struct {
				buf *netio.Buffer
				n   int
				err error
			}
			results := make(chan result)
			before := netio.BuffersOut()
			held := netio.BorrowBuffer()
			go func() {
				buf, n, err := source.Fill(held)
				results <- result{buf, n, err}
			}()
			coretest.Await(t, "the question", asked)
			if gives {
				coretest.Eventually(t, "the buffer's return", func() bool { return netio.BuffersOut() <= before })
			}
			coretest.Write(t, far, []byte("x"))
			r := coretest.Await(t, "the bytes", results)
			if r.n != 1 || r.err != nil || r.buf == nil {
				t.Fatalf("got %d, %v, want 1, nil", r.n, r.err)
			}
			r.buf.Return()
		})
	}
}

func TestSourceErrors(t *testing.T) {
	eachSource(t, func(t *testing.T, near, far core.Stream) {
		source := netio.NewSource(near, whole, nil)
		if err := near.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if buf, n, err := source.Fill(nil); buf != nil || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: got %d, %v, want 0, os.ErrDeadlineExceeded", n, err)
		}
		if err := near.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		ending.Reset(far)
		if buf, n, err := source.Fill(nil); buf != nil || n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after a reset: got %d, %v, want 0, ECONNRESET", n, err)
		}
		near.Close()
		if buf, n, err := source.Fill(nil); buf != nil || n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("after close: got %d, %v, want 0, net.ErrClosed", n, err)
		}
	})
}

// lazy is a stream whose Read returns nothing.
type lazy struct{ core.Stream }

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestSourceNoProgress(t *testing.T) {
	if buf, n, err := netio.NewSource(lazy{}, whole, nil).Fill(nil); buf != nil || n != 0 || err != io.ErrNoProgress {
		t.Errorf("got %d, %v, want 0, io.ErrNoProgress", n, err)
	}
}

// shell is a wrapper that shows what it wraps, for socket options.
type shell struct{ core.Stream }

func (s shell) NetConn() net.Conn { return s.Stream }

func TestBare(t *testing.T) {
	tcp, _ := coretest.LoopbackPair(t)
	pipe, _ := coretest.Pipe()
	if got := netio.Bare(tcp); got != tcp {
		t.Errorf("a TCP connection: got %v, want itself", got)
	}
	for _, s := range []core.Stream{pipe, shell{tcp}, struct{ core.Stream }{tcp}, struct{ *net.TCPConn }{tcp}} {
		if got := netio.Bare(s); got != nil {
			t.Errorf("%T: got %v, want nil: it may hold bytes", s, got)
		}
	}
}

// Abort shows as a reset through wrappers.
func TestAbort(t *testing.T) {
	for _, pair := range coretest.Pairs {
		for _, wraps := range []int{0, 1, 2} {
			near, far := pair.Make(t)
			for range wraps {
				near = shell{near}
			}
			ending.Reset(near)
			if err := far.SetReadDeadline(time.Now().Add(coretest.Patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s in %d wrappers: got %v, want ECONNRESET", pair.Name, wraps, err)
			}
			far.Close()
		}
	}
}
