package coretest

import (
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func streamWriteVector(t *testing.T, a, b core.Stream) {
	v, ok := a.(core.VectorWriter)
	if !ok {
		t.Skip("no core.VectorWriter")
	}
	data := Pattern(100_000, 1)
	within(t, "a vectored write", func() {
		var all sync.WaitGroup
		all.Go(func() {
			own := slices.Clone(data) // WriteVector may change the pieces
			n, err := v.WriteVector([][]byte{own[:1], own[1:1], own[1:50_000], own[50_000:]})
			if n != len(data) || err != nil {
				t.Errorf("write vector: got %d, %v, want %d, nil", n, err, len(data))
			}
		})
		Read(t, b, data)
		all.Wait()
	})
}

func streamReadBurst(t *testing.T, a, b core.Stream) {
	r, ok := a.(core.BurstReader)
	if !ok {
		t.Skip("no core.BurstReader")
	}
	data := Pattern(300_000, 1)
	near, far := Pipe()
	defer far.Close()
	defer near.Close()
	within(t, "bursts into the stream", func() {
		var all sync.WaitGroup
		all.Go(func() { Write(t, far, data); CloseWrite(t, far) })
		all.Go(func() { Read(t, b, data) })
		if n := bursts(t, func() (int, error) { return r.ReadBurst(near) }); n != len(data) {
			t.Errorf("bursts moved %d bytes, want %d", n, len(data))
		}
		all.Wait()
	})
}

func streamWriteBurst(t *testing.T, a, b core.Stream) {
	w, ok := a.(core.BurstWriter)
	if !ok {
		t.Skip("no core.BurstWriter")
	}
	data := Pattern(300_000, 1)
	near, far := Pipe()
	defer far.Close()
	defer near.Close()
	within(t, "bursts out of the stream", func() {
		var all sync.WaitGroup
		all.Go(func() { Write(t, b, data); CloseWrite(t, b) })
		all.Go(func() { Read(t, far, data) })
		if n := bursts(t, func() (int, error) { return w.WriteBurst(near) }); n != len(data) {
			t.Errorf("bursts moved %d bytes, want %d", n, len(data))
		}
		all.Wait()
	})
}

// bursts calls burst until the end and returns the sum of its results.
func bursts(t testing.TB, burst func() (int, error)) int {
	t.Helper()
	total := 0
	for {
		n, err := burst()
		total += n
		switch err {
		case nil:
		case io.EOF:
			return total
		default:
			t.Errorf("burst after %d bytes: %v", total, err)
			return total
		}
	}
}
