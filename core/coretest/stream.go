package coretest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestStream checks that a stream satisfies the contracts of core.Stream and of the
// optional interfaces that it implements. makePair returns the two ends of a fresh
// connection, both ready for bytes; the kit closes them.
func TestStream(t *testing.T, makePair func(t testing.TB) (a, b core.Stream)) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, a, b core.Stream)
	}{
		{"bytes both ways", streamBothWays},
		{"empty write", streamEmptyWrite},
		{"half close", streamHalfClose},
		{"close delivers", streamCloseDelivers},
		{"use after close", streamUseAfterClose},
		{"close ends a read", streamCloseEndsRead},
		{"close ends a write", streamCloseEndsWrite},
		{"concurrent close", streamConcurrentClose},
		{"read deadline", streamReadDeadline},
		{"read deadline set during a read", streamReadDeadlineLate},
		{"write deadline", streamWriteDeadline},
		{"addresses", streamAddresses},
		{"wait", streamWait},
		{"write vector", streamWriteVector},
		{"read burst", streamReadBurst},
		{"write burst", streamWriteBurst},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := makePair(t)
			defer b.Close()
			defer a.Close()
			tc.run(t, a, b)
		})
	}
}

func streamBothWays(t *testing.T, a, b core.Stream) {
	const size = 1<<20 + 7
	up, down := Pattern(size, 1), Pattern(size, 2)
	within(t, "the exchange", func() {
		var all sync.WaitGroup
		all.Go(func() { Write(t, a, up) })
		all.Go(func() { Write(t, b, down) })
		all.Go(func() { Read(t, b, up) })
		all.Go(func() { Read(t, a, down) })
		all.Wait()
	})
}

func streamEmptyWrite(t *testing.T, a, b core.Stream) {
	if n, err := a.Write(nil); n != 0 || err != nil {
		t.Errorf("empty write: got %d, %v, want 0, nil", n, err)
	}
	within(t, "a read after an empty write", func() {
		Write(t, a, []byte("x"))
		Read(t, b, []byte("x"))
	})
}

func streamHalfClose(t *testing.T, a, b core.Stream) {
	up, down := Pattern(100_000, 1), Pattern(100_000, 2)
	within(t, "the half-closed exchange", func() {
		var all sync.WaitGroup
		all.Go(func() { Write(t, a, up); CloseWrite(t, a) })
		ReadAll(t, b, up)
		all.Wait()
		if _, err := a.Write([]byte("x")); err == nil {
			t.Error("write after CloseWrite: got nil, want an error")
		}
		all.Go(func() { Write(t, b, down); CloseWrite(t, b) })
		ReadAll(t, a, down)
		all.Wait()
	})
}

func streamCloseDelivers(t *testing.T, a, b core.Stream) {
	within(t, "the last bytes", func() {
		last := Pattern(20_000, 1)
		Write(t, a, last)
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		ReadAll(t, b, last)
		// The first writes may succeed before the peer's RST arrives.
		for {
			if _, err := b.Write(last); err != nil {
				return
			}
		}
	})
}

func streamUseAfterClose(t *testing.T, a, _ core.Stream) {
	a.Close()
	within(t, "use after close", func() {
		if n, err := a.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: got %d, %v, want 0, net.ErrClosed", n, err)
		}
		if n, err := a.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: got %d, %v, want 0, net.ErrClosed", n, err)
		}
		_ = a.CloseWrite() // must not panic
		_ = a.Close()
	})
}

func streamCloseEndsRead(t *testing.T, a, _ core.Stream) {
	within(t, "the end of a read whose stream is closed", func() {
		var all sync.WaitGroup
		all.Go(func() {
			if n, err := a.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("read: got %d, %v, want 0, an error", n, err)
			}
		})
		a.Close()
		all.Wait()
	})
}

func streamCloseEndsWrite(t *testing.T, a, _ core.Stream) {
	within(t, "the end of a write whose stream is closed", func() {
		begun := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			for first := true; ; first = false { // the first must fit the buffer of a Pipe, with what frames it
				if _, err := a.Write(make([]byte, 32<<10)); err != nil {
					return
				}
				if first {
					close(begun)
				}
			}
		})
		<-begun
		a.Close()
		all.Wait()
	})
}

func streamConcurrentClose(t *testing.T, a, b core.Stream) {
	within(t, "the end of both sides", func() {
		var all sync.WaitGroup
		begun := make(chan struct{}, 2)
		for _, s := range []core.Stream{a, b} {
			all.Go(func() {
				if _, err := s.Write([]byte("x")); err != nil {
					t.Errorf("first write: %v", err)
				}
				begun <- struct{}{}
				for {
					if _, err := s.Write(make([]byte, 1000)); err != nil {
						return
					}
				}
			})
			all.Go(func() { _, _ = io.Copy(io.Discard, s) })
		}
		<-begun
		<-begun
		for range 4 {
			all.Go(func() { a.Close() })
			all.Go(func() { b.Close() })
			all.Go(func() { _ = a.CloseWrite() })
			all.Go(func() { _ = b.SetDeadline(time.Now()) })
		}
		all.Wait()
	})
}

func streamAddresses(t *testing.T, a, b core.Stream) {
	for _, s := range []core.Stream{a, b} {
		if s.LocalAddr() == nil || s.RemoteAddr() == nil {
			t.Errorf("addresses: got %v, %v, want both", s.LocalAddr(), s.RemoteAddr())
		}
	}
}
