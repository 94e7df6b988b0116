package coretest

import (
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

func streamReadDeadline(t *testing.T, a, b core.Stream) {
	within(t, "reads around a deadline", func() {
		for _, in := range []time.Duration{-time.Second, quiet} {
			setReadDeadline(t, a, time.Now().Add(in))
			n, err := a.Read(make([]byte, 1))
			if n != 0 {
				t.Errorf("read: got %d bytes, want none", n)
			}
			timedOut(t, "read", err)
		}
		setReadDeadline(t, a, time.Time{})
		Write(t, b, []byte("late"))
		Read(t, a, []byte("late"))
		Write(t, a, []byte("answer"))
		Read(t, b, []byte("answer"))
	})
}

func streamReadDeadlineLate(t *testing.T, a, b core.Stream) {
	within(t, "the end of a read that a deadline stops", func() {
		var all sync.WaitGroup
		all.Go(func() {
			_, err := a.Read(make([]byte, 1))
			timedOut(t, "read", err)
		})
		setReadDeadline(t, a, time.Unix(1, 0))
		all.Wait()
	})
}

func streamWriteDeadline(t *testing.T, a, b core.Stream) {
	within(t, "the end of a write that a deadline stops", func() {
		if err := a.SetWriteDeadline(time.Now().Add(quiet)); err != nil {
			t.Errorf("set write deadline: %v", err)
			return
		}
		for {
			_, err := a.Write(make([]byte, 64<<10))
			if err != nil {
				timedOut(t, "write", err)
				return
			}
		}
	})
}

func streamWait(t *testing.T, a, b core.Stream) {
	if _, ok := a.(core.Waiter); !ok && netio.Bare(a) == nil {
		t.Skip("the stream can't be waited on")
	}
	within(t, "waiting for a read", func() {
		setReadDeadline(t, a, time.Now().Add(quiet))
		if _, ok := a.(core.Waiter); ok {
			timedOut(t, "wait", netio.WaitReadable(a))
		}
		setReadDeadline(t, a, time.Time{})

		var all sync.WaitGroup
		all.Go(func() { wait(t, a, "bytes on the wire") })
		Write(t, b, []byte("xyz"))
		all.Wait()
		Read(t, a, []byte("x"))
		wait(t, a, "buffered bytes")
		wait(t, a, "buffered bytes again")
		Read(t, a, []byte("yz"))

		all.Go(func() { wait(t, a, "the end") })
		CloseWrite(t, b)
		all.Wait()
		ReadAll(t, a, nil)
		wait(t, a, "the end again")
	})
}

func wait(t testing.TB, s core.Stream, what string) {
	t.Helper()
	if err := netio.WaitReadable(s); err != nil {
		t.Errorf("wait for %s: got %v, want nil", what, err)
	}
}
