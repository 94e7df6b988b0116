package tls

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

func TestWaitReadReturnsWhenBytesCome(t *testing.T) {
	e := established(t)
	ready := make(chan error, 1)
	wait := e.server.(core.Waiter).WaitRead
	go func() { ready <- wait() }()
	select {
	case err := <-ready:
		t.Fatalf("got %v before any byte", err)
	case <-time.After(20 * time.Millisecond):
	}
	if _, err := io.WriteString(e.client, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	for range 3 { // more waiting takes nothing
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 100)
	if n, err := e.server.Read(p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("got %q, %v, want hello in one Read", p[:n], err)
	}
}

// The byte that WaitRead took goes first, whatever the size of the next Read;
// what follows it does not wait for more.
func TestReadAfterWaitRead(t *testing.T) {
	for _, tc := range []struct {
		name    string
		records []string
		size    int // of the first Read
		want    string
	}{
		{"one byte of one", []string{"a"}, 1, "a"},
		{"record of one byte", []string{"a"}, 10, "a"},
		{"one byte of many", []string{"abcdef"}, 1, "a"},
		{"part of a record", []string{"abcdef"}, 4, "abcd"},
		{"whole record", []string{"abcdef"}, 6, "abcdef"},
		{"more than a record", []string{"abcdef"}, 100, "abcdef"},
		{"two records that came together", []string{"a", "bcd"}, 100, "abcd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := established(t)
			out := e.client.(*stream).wire
			out.collect()
			for _, r := range tc.records {
				if _, err := e.client.(*stream).conn.Write([]byte(r)); err != nil {
					t.Fatal(err)
				}
			}
			if err := out.flush(); err != nil {
				t.Fatal(err)
			}
			if err := e.server.(core.Waiter).WaitRead(); err != nil {
				t.Fatal(err)
			}
			if n, err := e.server.Read(nil); n != 0 || err != nil {
				t.Errorf("Read of nothing: got %d, %v", n, err)
			}
			p := make([]byte, tc.size)
			if n, err := e.server.Read(p); string(p[:n]) != tc.want || err != nil {
				t.Errorf("got %q, %v, want %q", p[:n], err, tc.want)
			}
		})
	}
}

// A record that has come in part leaves the stream whole, and no Read that has
// bytes waits for its rest.
func TestPartOfARecord(t *testing.T) {
	e := established(t)
	var sealed bytes.Buffer
	c := e.client.(*stream)
	c.wire.Stream = &recorder{Stream: e.clientWire, to: &sealed}
	for _, s := range []string{"first", "second"} {
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	whole := sealed.Bytes()
	cut := len(whole) - 3
	if _, err := e.clientWire.Write(whole[:cut]); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	if n, err := e.server.Read(p); string(p[:n]) != "first" || err != nil {
		t.Fatalf("got %q, %v, want first", p[:n], err)
	}
	if err := e.server.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := e.server.Read(p); n != 0 || err == nil {
		t.Fatalf("got %q, %v, want a timeout", p[:n], err)
	}
	if err := e.server.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.clientWire.Write(whole[cut:]); err != nil {
		t.Fatal(err)
	}
	if n, err := e.server.Read(p); string(p[:n]) != "second" || err != nil {
		t.Errorf("got %q, %v, want second", p[:n], err)
	}
}

// recorder keeps what is written instead of sending it.
type recorder struct {
	core.Stream
	to *bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) { return r.to.Write(p) }

// No mixture of waits, reads, sizes and timeouts loses or repeats a byte.
func TestWaitReadLosesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	e := established(t)
	want := pattern(1 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		rnd := rand.New(rand.NewPCG(seed, 1))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(1<<(1+rnd.IntN(17))))
			if _, err := e.client.Write(rest[:n]); err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
		if err := e.client.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	rnd := rand.New(rand.NewPCG(seed, 2))
	var got []byte
	p := make([]byte, 64<<10)
	for {
		if rnd.IntN(2) == 0 {
			if err := e.server.(core.Waiter).WaitRead(); err != nil {
				t.Fatal(err)
			}
		}
		n, err := e.server.Read(p[:1+rnd.IntN(1<<(1+rnd.IntN(16)))])
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	<-done
	equal(t, "stream", got, want)
}

// A stream in a stream waits as well.
func TestWaitReadThroughTwoStreams(t *testing.T) {
	e := established(t)
	self := selfSigned(t, "example.test")
	server, client := newPlain(t, Options{Cert: self.file, Key: self.key}), newPlain(t, Options{Pin: []Pin{PinOf(self.cert)}})
	accepted := make(chan core.Stream, 1)
	go func() {
		s, err := server.Server(t.Context(), e.server)
		if err != nil {
			t.Error(err)
		}
		accepted <- s
	}()
	inner, err := client.Client(t.Context(), e.client, core.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	s := <-accepted
	exchange(t, inner, s)
	if _, err := io.WriteString(inner, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := s.(core.Waiter).WaitRead(); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := s.Read(p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("got %q, %v, want hello", p[:n], err)
	}
}
