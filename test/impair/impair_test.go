package impair

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second      // timeout for expected events
	quiet    = 20 * time.Millisecond // wait for unexpected events
)

// through dials a relay and returns both ends of the connection.
func through(t *testing.T, o Options) (r *Relay, client, target *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r = New(t, l.Addr().String(), o)
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{c, s} {
		deadline(t, conn, patience)
		t.Cleanup(func() { conn.Close() })
	}
	return r, c.(*net.TCPConn), s.(*net.TCPConn)
}

func deadline(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, c net.Conn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

// read checks that the next bytes are want.
func read(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v, want %d (or they differ)", n, err, len(want))
	}
}

// ends checks how the stream ends, and that no byte precedes the end.
func ends(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		t.Errorf("got %d, %v, want %v", n, err, want)
	}
}

// silent checks that no byte arrives.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	deadline(t, c, quiet)
	ends(t, c, os.ErrDeadlineExceeded)
	deadline(t, c, patience)
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8)
	}
	return p
}

func TestUndisturbed(t *testing.T) {
	r, client, target := through(t, Options{})
	up, down := pattern(300_000), pattern(200_000)
	go func() { client.Write(up); target.Write(down) }()
	read(t, target, up)
	read(t, client, down)
	if u, d := r.Bytes(); u != 300_000 || d != 200_000 || r.Conns() != 1 {
		t.Errorf("got %d and %d bytes in %d connections, want 300000, 200000 and 1", u, d, r.Conns())
	}
}

func TestHalfClose(t *testing.T) {
	for _, tc := range []struct {
		name string
		turn bool // the target ends first
	}{{"client first", false}, {"target first", true}} {
		t.Run(tc.name, func(t *testing.T) {
			_, first, second := through(t, Options{})
			if tc.turn {
				first, second = second, first
			}
			write(t, first, []byte("question"))
			if err := first.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			read(t, second, []byte("question"))
			ends(t, second, io.EOF)
			write(t, second, []byte("answer"))
			read(t, first, []byte("answer"))
			silent(t, first)
			if err := second.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			ends(t, first, io.EOF)
		})
	}
}

func TestResetIsPassedOn(t *testing.T) {
	_, client, target := through(t, Options{})
	write(t, client, []byte("x"))
	read(t, target, []byte("x"))
	if err := client.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	client.Close()
	ends(t, target, syscall.ECONNRESET)
}

func TestSegments(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    Direction
	}{
		{"bytes", Direction{Segment: 1}},
		{"fixed", Direction{Segment: 7}},
		{"random", Direction{Segment: 50, Random: true}},
		{"slow", Direction{Segment: 1000, Delay: time.Millisecond}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, client, target := through(t, Options{Up: tc.d, Seed: 1})
			want := pattern(5000)
			write(t, client, want)
			read(t, target, want)
			if up, _ := r.Bytes(); up != 5000 {
				t.Errorf("got %d bytes, want 5000", up)
			}
		})
	}
}

// Sizes depend only on the seed.
func TestSizes(t *testing.T) {
	sizes := func(seed uint64) []int {
		r, _, _ := through(t, Options{Up: Direction{Segment: 1000, Random: true}, Seed: seed})
		f, got := r.all()[0].up, []int{}
		for range 20 {
			n := f.next(1 << 20)
			if n < 1 || n > 1000 {
				t.Errorf("got a segment of %d bytes, want 1 to 1000", n)
			}
			got = append(got, n)
		}
		return got
	}
	a, b, c := sizes(1), sizes(1), sizes(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("got %v and %v for one seed, %v for another", a, b, c)
	}
}

func TestEnds(t *testing.T) {
	const n = 1000
	for _, tc := range []struct {
		name  string
		end   End
		after int64
		check func(t *testing.T, client, target *net.TCPConn)
	}{
		{"close", Close, n, func(t *testing.T, client, target *net.TCPConn) {
			ends(t, target, io.EOF)
			ends(t, client, io.EOF)
			write(t, client, []byte("lost")) // and no RST comes back
			write(t, target, []byte("lost"))
			ends(t, target, io.EOF)
			ends(t, client, io.EOF)
		}},
		{"close at once", Close, 0, func(t *testing.T, client, target *net.TCPConn) {
			ends(t, target, io.EOF)
			ends(t, client, io.EOF)
		}},
		{"reset", Reset, n, func(t *testing.T, client, target *net.TCPConn) {
			ends(t, target, syscall.ECONNRESET)
			ends(t, client, syscall.ECONNRESET)
		}},
		{"discard", Discard, n, func(t *testing.T, client, target *net.TCPConn) {
			write(t, client, pattern(1<<20)) // more than would fit anywhere unread
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			silent(t, target)
			write(t, target, []byte("answer"))
			read(t, client, []byte("answer"))
		}},
		{"stall", Stall, n, func(t *testing.T, client, target *net.TCPConn) {
			silent(t, target)
			write(t, target, []byte("answer"))
			read(t, client, []byte("answer"))
			deadline(t, client, quiet)
			if _, err := client.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a full window", err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, client, target := through(t, Options{Up: Direction{End: tc.end, After: tc.after}})
			write(t, client, pattern(n))
			read(t, target, pattern(n)[:tc.after])
			tc.check(t, client, target)
			if up, _ := r.Bytes(); up != tc.after {
				t.Errorf("got %d bytes up, want %d", up, tc.after)
			}
		})
	}
}

// Each direction has a separate End.
func TestEndOfDown(t *testing.T) {
	_, client, target := through(t, Options{Down: Direction{End: Close, After: 3}})
	write(t, client, []byte("up"))
	read(t, target, []byte("up"))
	write(t, target, []byte("down"))
	read(t, client, []byte("dow"))
	ends(t, client, io.EOF)
	ends(t, target, io.EOF)
}

func TestCorruptAndRecord(t *testing.T) {
	r, client, target := through(t, Options{
		Up:   Direction{Corrupt: []int64{0, 5, 99}, Segment: 3, Record: true},
		Down: Direction{},
	})
	write(t, client, []byte("0123456789"))
	want := []byte("1123446789") // the lowest bits of '0' and '5' flipped
	read(t, target, want)
	write(t, target, []byte("down"))
	read(t, client, []byte("down"))
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	ends(t, target, io.EOF) // now all is recorded
	up, down := r.Recorded(0)
	if !bytes.Equal(up, want) || len(down) != 0 {
		t.Errorf("got %q and %q, want %q and nothing", up, down, want)
	}
}

func TestBreak(t *testing.T) {
	r, client, target := through(t, Options{Up: Direction{End: Stall}})
	r.Break()
	ends(t, client, syscall.ECONNRESET)
	ends(t, target, syscall.ECONNRESET)
}

func TestUnreachableTarget(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r := New(t, l.Addr().String(), Options{})
	c, err := net.Dial("tcp", r.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	deadline(t, c, patience)
	ends(t, c, syscall.ECONNRESET)
}

// A relay ends with its test, in every state of its connections.
func TestCleanup(t *testing.T) {
	t.Run("inner", func(t *testing.T) {
		for _, o := range []Options{{}, {Up: Direction{End: Stall}}, {Up: Direction{End: Discard}}, {Up: Direction{Delay: time.Hour}}} {
			_, client, _ := through(t, o)
			write(t, client, []byte("x"))
		}
	})
}
