package coretest

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	quiet = 20 * time.Millisecond // for deadlines that are to expire
)

// Await returns the next value of ch. It fails the test if no value arrives within
// Patience, or if ch is closed.
func Await[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("%s: the channel is closed", what)
		}
		return v
	case <-timer.C:
		t.Fatalf("%s: not within %s", what, Patience)
	}
	panic("unreachable")
}

// timedOut checks that err is the error of an expired deadline.
func timedOut(t testing.TB, what string, err error) {
	t.Helper()
	var timeout interface{ Timeout() bool }
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%s after its deadline: got %v, want os.ErrDeadlineExceeded", what, err)
	}
}

// Pattern returns n bytes with a long period that differs from seed to seed, so that a
// comparison detects bytes that are lost, doubled or moved.
func Pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed ^ byte(i) ^ byte(i>>8)*31 ^ byte(i>>16)*17
	}
	return b
}

// same checks received bytes.
func same(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes that differ from the %d that were sent", len(got), len(want))
	}
}

// within runs f and fails the test if f runs for longer than Patience.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		// The end of the test closes the object that f waits for, and then f reports
		// to t.
		t.Cleanup(func() {
			select {
			case <-done:
			case <-time.After(Patience):
			}
		})
		t.Fatalf("%s: not within %s", what, Patience)
	}
}

func setReadDeadline(t testing.TB, s core.Stream, at time.Time) {
	t.Helper()
	if err := s.SetReadDeadline(at); err != nil {
		t.Errorf("set read deadline: %v", err)
	}
}
