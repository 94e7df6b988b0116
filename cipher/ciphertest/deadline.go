package ciphertest

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// inMemory are the kinds of wires without the kernel, so that fake time can stand still.
var inMemory = []struct {
	name string
	pair func() (a, b core.Stream)
}{
	{"memory", coretest.Pipe},
	{"opaque memory", func() (a, b core.Stream) {
		a, b = coretest.Pipe()
		return opaque{a}, opaque{b}
	}},
}

// handshakeDeadline lets the deadline of a request pass at each byte.
func (k kit) handshakeDeadline(t *testing.T) {
	flight := dial(t, k.cipher(t), nil).sent()
	for _, w := range inMemory {
		t.Run(w.name, func(t *testing.T) {
			for n := range flight {
				synctest.Test(t, func(t *testing.T) {
					a, b := w.pair()
					defer b.Close()
					defer a.Close()
					put(t, a, flight[:n])
					setDeadline(t, b, time.Second)
					began := time.Now()
					got, err := k.cipher(t).AcceptStream(b, core.Caller{Addr: someone})
					if !errors.Is(err, core.ErrShort) || !bytes.Equal(got.Payload, flight[:n]) {
						t.Errorf("%d bytes: got %d, %v, want all and core.ErrShort", n, len(got.Payload), err)
					}
					if took := time.Since(began); took != time.Second {
						t.Errorf("%d bytes: judged after %s, want 1s", n, took)
					}
				})
			}
		})
	}
}

// waits delivers a request in parts: the server must report each wait with all bytes so far
// to the caller until the request has proved the key, and not after that.
func (k kit) waits(t *testing.T) { k.shows(t) }

// shows is waits, and returns the number of bytes of a request that prove the key.
func (k kit) shows(t *testing.T) (at int) {
	flight := dial(t, k.cipher(t), []byte("payload")).sent()
	for n := range flight {
		synctest.Test(t, func(t *testing.T) {
			a, b := coretest.Pipe()
			defer b.Close()
			defer a.Close()
			put(t, a, flight[:n])
			setDeadline(t, b, time.Second)
			last := -1
			got, err := k.cipher(t).AcceptStream(b, core.Caller{Addr: someone, Waits: func(soFar []byte) {
				if !bytes.Equal(soFar, flight[:min(len(soFar), n)]) || len(soFar) < last {
					t.Errorf("%d bytes: reported %d other bytes after %d", n, len(soFar), last)
				}
				last = len(soFar)
			}})
			if err == nil {
				got.Stream.Close()
			}
			switch reported := last == n; {
			case reported && at > 0:
				t.Errorf("%d bytes: reported, but fewer bytes were not", n)
			case !reported && n <= 1:
				t.Errorf("%d bytes: reported %d, want all: too few to prove a key", n, last)
			case !reported && at == 0:
				at = n
			}
		})
	}
	return at
}

// chunkDeadline lets the deadline of a read pass at each byte of a chunk, and continues to
// read.
func (k kit) chunkDeadline(t *testing.T) {
	for _, size := range []int{1, 20, 2000} {
		data := coretest.Pattern(size, 1)
		for _, w := range inMemory {
			for _, read := range []string{"read", "burst"} {
				t.Run(w.name+", "+read, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						a, b := w.pair()
						tap := &tap{Stream: a}
						client, server := k.connect(t, tap, b)
						tap.hold = true
						for n := 0; n == 0 || n < len(tap.held); n += 1 + size/50 {
							tap.held = nil
							put(t, client, data)
							resume(t, server, a, tap.held, n, data, read)
						}
					})
				})
			}
		}
	}
}

// firstChunkDeadline is chunkDeadline for the first bytes of an answer.
func (k kit) firstChunkDeadline(t *testing.T) {
	data := []byte("hello")
	for _, w := range inMemory {
		t.Run(w.name, func(t *testing.T) {
			for n, end := 0, 1; n < end; n++ {
				synctest.Test(t, func(t *testing.T) {
					a, b := w.pair()
					tap := &tap{Stream: b, hold: true}
					client, server := k.connect(t, a, tap)
					put(t, server, data)
					end = len(tap.held)
					resume(t, client, b, tap.held, n, data, []string{"read", "burst"}[n%2])
				})
			}
		})
	}
}

// resume lets a read of s reach its deadline when n bytes of wire have arrived, and reads
// data when the others have.
func resume(t *testing.T, s, far core.Stream, wire []byte, n int, data []byte, way string) {
	t.Helper()
	if n > 0 {
		put(t, far, wire[:n])
	}
	setDeadline(t, s, time.Second)
	into, got := &script{}, 0
	for {
		m, err := take(s, into, way)
		if got += m; errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatalf("%d bytes of %d: got %v, want os.ErrDeadlineExceeded", n, len(wire), err)
		}
	}
	if w, ok := s.(core.Waiter); ok && n%3 == 0 {
		if err := w.WaitRead(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes of %d: wait: %v", n, len(wire), err)
		}
	}
	setDeadline(t, s, time.Minute)
	put(t, far, wire[n:])
	for got < len(data) {
		m, err := take(s, into, way)
		if got += m; err != nil {
			t.Fatalf("after the deadline at byte %d: got %d bytes, %v", n, got, err)
		}
	}
	if got := bytes.Join(into.wrote, nil); !bytes.Equal(got, data) {
		t.Fatalf("after the deadline at byte %d: got other bytes", n)
	}
}

// take moves bytes from s into a sink once.
func take(s, into core.Stream, way string) (int, error) {
	if w, ok := s.(core.BurstWriter); ok && way == "burst" {
		return w.WriteBurst(into)
	}
	b := make([]byte, 4<<10)
	n, err := s.Read(b)
	if n > 0 {
		_, _ = into.Write(b[:n]) // writes to a script never fail
	}
	return n, err
}

// tap is a wire whose writes can be held back.
type tap struct {
	core.Stream
	hold bool
	held []byte
}

func (w *tap) Write(p []byte) (int, error) {
	if !w.hold {
		return w.Stream.Write(p)
	}
	w.held = append(w.held, p...)
	return len(p), nil
}

// put writes all of p.
func put(t testing.TB, s core.Stream, p []byte) {
	t.Helper()
	if n, err := s.Write(p); n != len(p) || err != nil {
		t.Fatalf("write of %d bytes: got %d, %v", len(p), n, err)
	}
}

func setDeadline(t *testing.T, s core.Stream, in time.Duration) {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(in)); err != nil {
		t.Fatal(err)
	}
}
