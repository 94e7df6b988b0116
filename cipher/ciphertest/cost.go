package ciphertest

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// mostAllocs is the maximum number of allocations of a burst through both ends of a
// running stream.
const mostAllocs = 1

// idle checks that a waiting stream holds no buffer, at the beginning of a chunk and within
// one, and does not use buffers after returning them.
func (k kit) idle(t *testing.T) {
	data := coretest.Pattern(1000, 1)
	for _, came := range []int{0, 1, 30, 900} {
		synctest.Test(t, func(t *testing.T) {
			out := netio.BuffersOut()
			a, b := coretest.Pipe()
			wire := &tap{Stream: a}
			client, server := k.connect(t, wire, b)
			w, ok := server.(core.BurstWriter)
			if !ok {
				return
			}
			got := &script{}
			go func() {
				for {
					if _, err := w.WriteBurst(got); err != nil {
						return
					}
				}
			}()
			wire.hold = true
			put(t, client, data)
			put(t, a, wire.held[:came])
			synctest.Wait()
			if n := netio.BuffersOut() - out; n != 0 {
				t.Errorf("%d bytes into a chunk: an idle stream holds %d buffers, want none", came, n)
			}
			scribble()
			put(t, a, wire.held[came:])
			synctest.Wait()
			if all := slices.Concat(got.wrote...); !bytes.Equal(all, data) {
				t.Errorf("%d bytes into a chunk: after the wait got %d other bytes", came, len(all))
			}
			server.Close()
		})
	}
}

// scribble overwrites pooled buffers, as other connections do.
func scribble() {
	var used []*netio.Buffer
	for range 8 {
		used = append(used, netio.BorrowBuffer(), netio.BorrowSmallBuffer())
	}
	for _, b := range used {
		for i := range b.B {
			b.B[i] = 0xEE
		}
		b.Return()
	}
}

// allocations measures bursts through both ends over TCP, where the fast path applies.
func (k kit) allocations(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools forget")
	}
	wireA, wireB := coretest.LoopbackPair(t)
	client, server := k.connect(t, wireA, wireB)
	in, src := coretest.LoopbackPair(t)
	dst, out := coretest.LoopbackPair(t)
	for _, s := range []core.Stream{client, server, in, out} {
		if err := s.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	fill, ok1 := client.(core.BurstReader)
	empty, ok2 := server.(core.BurstWriter)
	if !ok1 || !ok2 {
		t.Skip("no bursts")
	}
	data, got := coretest.Pattern(40_000, 1), make([]byte, 40_000)
	burst := func() {
		put(t, in, data)
		moved(t, len(data), func() (int, error) { return fill.ReadBurst(src) })
		moved(t, len(data), func() (int, error) { return empty.WriteBurst(dst) })
		if _, err := io.ReadFull(out, got); err != nil {
			t.Fatal(err)
		}
	}
	burst()
	if n := testing.AllocsPerRun(100, burst); n > mostAllocs {
		t.Errorf("bursts: got %v allocations for %d bytes, want at most %d", n, len(data), mostAllocs)
	}
	plain := func() {
		put(t, server, data)
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
	}
	plain()
	if n := testing.AllocsPerRun(100, plain); n > mostAllocs {
		t.Errorf("write and read: got %v allocations for %d bytes, want at most %d", n, len(data), mostAllocs)
	}
}

// moved calls burst until n bytes have been moved.
func moved(t *testing.T, n int, burst func() (int, error)) {
	t.Helper()
	for n > 0 {
		m, err := burst()
		if err != nil {
			t.Fatal(err)
		}
		n -= m
	}
}
