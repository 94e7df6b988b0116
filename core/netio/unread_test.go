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

// unreadBoth puts a byte back on both ends of a connection and reads it again.
func unreadBoth(t testing.TB, near, far core.Stream) (a, b core.Stream) {
	t.Helper()
	ends := []core.Stream{near, far}
	for i, s := range ends {
		ends[i] = netio.Unread(s, []byte("x"))
		coretest.Read(t, ends[i], []byte("x"))
	}
	return ends[0], ends[1]
}

func TestUnreadStream(t *testing.T) {
	for _, pair := range coretest.Pairs {
		t.Run(pair.Name, func(t *testing.T) {
			coretest.TestStream(t, func(t testing.TB) (a, b core.Stream) {
				near, far := pair.Make(t)
				return unreadBoth(t, near, far)
			})
		})
	}
}

func TestUnreadNothing(t *testing.T) {
	near, far := coretest.Pipe()
	defer far.Close()
	defer near.Close()
	if got := netio.Unread(near, nil); got != near {
		t.Errorf("no bytes: got %T, want the stream itself", got)
	}
}

// Bytes that were put back come first, in as many reads as it takes, through
// several wrappers, and are there for a wait.
func TestUnreadRead(t *testing.T) {
	near, far := coretest.Pipe()
	defer far.Close()
	s := netio.Unread(netio.Unread(near, []byte("cde")), []byte("ab"))
	defer s.Close()
	for _, want := range []string{"a", "b", "c", "de"} {
		if err := netio.WaitReadable(s); err != nil {
			t.Errorf("wait before %q: %v", want, err)
		}
		if n, err := s.Read(nil); n != 0 || err != nil {
			t.Errorf("empty read: got %d, %v, want 0, nil", n, err)
		}
		coretest.Read(t, s, []byte(want))
	}
	coretest.Write(t, far, []byte("f"))
	coretest.CloseWrite(t, far)
	coretest.ReadAll(t, s, []byte("f"))
}

// After Close nothing is read, of the bytes that were put back neither.
func TestUnreadClosed(t *testing.T) {
	near, far := coretest.TCPPair(t)
	defer far.Close()
	s := netio.Unread(near, []byte("ab"))
	coretest.Read(t, s, []byte("a"))
	s.Close()
	if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: got %d, %v, want 0, net.ErrClosed", n, err)
	}
	out, _ := coretest.Pipe()
	if n, err := netio.NewBurster(out, s)(); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("burst: got %d, %v, want 0, net.ErrClosed", n, err)
	}
}

// A burst moves what was put back, and later ones what comes.
func TestUnreadBurst(t *testing.T) {
	for _, pair := range coretest.Pairs {
		t.Run(pair.Name, func(t *testing.T) {
			near, far := pair.Make(t)
			dst, end := pair.Make(t)
			for _, s := range []core.Stream{near, far, dst, end} {
				defer s.Close()
			}
			data := coretest.Pattern(300_000, 1)
			src := netio.Unread(netio.Unread(near, []byte("b")), []byte("a"))
			burst := netio.NewBurster(netio.Unread(dst, []byte("never read")), src)
			for range 2 {
				if n, err := burst(); n != 1 || err != nil {
					t.Errorf("burst of what was put back: got %d, %v, want 1, nil", n, err)
				}
			}
			coretest.Together(
				func() { coretest.Write(t, far, data); coretest.CloseWrite(t, far) },
				func() { coretest.Read(t, end, []byte("ab")); coretest.Read(t, end, data) },
				func() {
					for moved := 0; ; {
						n, err := burst()
						moved += n
						if err != nil {
							if err != io.EOF || moved != len(data) {
								t.Errorf("bursts: got %d bytes, %v, want %d, io.EOF", moved, err, len(data))
							}
							return
						}
					}
				},
			)
		})
	}
}

// A Source reads what was put back and then, where it can, from the descriptor,
// with no buffer held while it waits.
func TestUnreadSource(t *testing.T) {
	near, far := coretest.TCPPair(t)
	s := netio.NewSource(netio.Unread(near, []byte("ab")), whole, nil)
	for _, want := range []string{"ab", "cd", "ef"} {
		if want != "ab" {
			coretest.Write(t, far, []byte(want))
		}
		buf, n, err := s.Fill(nil)
		if err != nil || string(buf.B[:n]) != want {
			t.Fatalf("fill: got %d bytes, %v, want %q", n, err, want)
		}
		buf.Return()
	}
	bare := netio.NewSource(near, whole, nil)
	if got, want := s.Waits(), bare.Waits(); got != want {
		t.Errorf("waits without a buffer: got %t, want %t as the bare connection", got, want)
	}
}

// Deadlines, options of the socket and resets reach the stream below.
func TestUnreadThrough(t *testing.T) {
	near, far := coretest.TCPPair(t)
	s := netio.Unread(near, []byte("a"))
	if got := netio.TCP(s); got != near {
		t.Errorf("the connection below: got %v, want %v", got, near)
	}
	coretest.Read(t, s, []byte("a"))
	_ = s.SetReadDeadline(time.Unix(1, 0))
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: got %v, want os.ErrDeadlineExceeded", err)
	}
	ending.Reset(netio.Unread(near, []byte("b")))
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer's read: got %v, want ECONNRESET", err)
	}
}

// absorber is a stream that hides its failures.
type absorber struct {
	core.Stream
	absorbed int
}

func (a *absorber) Absorb() { a.absorbed++ }

// A stream is an Absorber if the one below is.
func TestUnreadAbsorbs(t *testing.T) {
	near, _ := coretest.Pipe()
	if _, ok := netio.Unread(near, []byte("a")).(core.Absorber); ok {
		t.Error("over a stream that is none: got an Absorber")
	}
	below := &absorber{Stream: near}
	s := netio.Unread(below, []byte("a"))
	coretest.Read(t, s, []byte("a"))
	if a, ok := s.(core.Absorber); !ok {
		t.Error("over an Absorber: got none")
	} else if a.Absorb(); below.absorbed != 1 {
		t.Errorf("absorbed %d times, want once", below.absorbed)
	}
}

// Several pieces reach a stream that takes them in one call.
func TestUnreadWriteVector(t *testing.T) {
	near, far := coretest.Pipe()
	below := &vectored{Stream: near}
	s := netio.Unread(below, []byte("a"))
	if n, err := netio.WriteVector(s, [][]byte{[]byte("bc"), []byte("d")}); n != 3 || err != nil || below.calls != 1 {
		t.Errorf("write vector: got %d, %v in %d calls, want 3, nil in 1", n, err, below.calls)
	}
	coretest.Read(t, far, []byte("bcd"))
}

// BenchmarkUnread moves bytes between two loopback connections, bare and after
// bytes that were put back.
func BenchmarkUnread(b *testing.B) {
	for _, tc := range []struct {
		name string
		wrap func(t testing.TB, near, far core.Stream) (core.Stream, core.Stream)
	}{
		{"bare", func(_ testing.TB, near, far core.Stream) (core.Stream, core.Stream) { return near, far }},
		{"unread", unreadBoth},
	} {
		b.Run(tc.name, func(b *testing.B) {
			from, near := coretest.LoopbackPair(b)
			far, to := coretest.LoopbackPair(b)
			src, dst := tc.wrap(b, near, far)
			piece, bursts := make([]byte, 64<<10), 0
			b.SetBytes(int64(len(piece)))
			b.ReportAllocs()
			b.ResetTimer()
			coretest.Together(
				func() {
					defer from.CloseWrite()
					for range b.N {
						if _, err := from.Write(piece); err != nil {
							b.Error(err)
							return
						}
					}
				},
				func() {
					defer far.CloseWrite()
					burst := netio.NewBurster(dst, src)
					for ; ; bursts++ {
						if _, err := burst(); err != nil {
							return
						}
					}
				},
				func() { _, _ = io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{to}) },
			)
			b.ReportMetric(float64(bursts)/float64(b.N), "bursts/op")
		})
	}
}
