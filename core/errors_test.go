package core_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// TestMarks marks errors: each mark is found through wrapping, and changes neither text nor
// cause.
func TestMarks(t *testing.T) {
	plain := fmt.Errorf("header: %w", core.ErrMalformed)
	marks := []struct {
		name string
		mark func(error) error
		is   func(error) bool
	}{
		{"authenticated", core.Authenticated, core.IsAuthenticated},
		{"sent", core.Sent, core.IsSent},
		{"at target", core.AtTarget, core.IsAtTarget},
	}
	for i, m := range marks {
		marked := m.mark(plain)
		for _, tc := range []struct {
			name string
			err  error
			want bool
		}{
			{"nil", nil, false},
			{"plain", plain, false},
			{"marked", marked, true},
			{"wrapped", fmt.Errorf("inbound.ss: %w", marked), true},
			{"joined", errors.Join(io.EOF, marked), true},
			{"marked otherwise", marks[(i+1)%len(marks)].mark(plain), false},
			{"marked twice", marks[(i+1)%len(marks)].mark(marked), true},
		} {
			if got := m.is(tc.err); got != tc.want {
				t.Errorf("%s: %s: got %t, want %t", m.name, tc.name, got, tc.want)
			}
		}
		if !errors.Is(marked, core.ErrMalformed) || marked.Error() != plain.Error() {
			t.Errorf("%s: got %q, want the text and the cause of %q", m.name, marked, plain)
		}
	}
}

// A dialer hides what the dialer below says of its own target and of bytes that were none of
// the client's. What it says itself counts.
func TestHiddenMarks(t *testing.T) {
	plain := fmt.Errorf("dial: %w", core.ErrMalformed)
	for _, tc := range []struct {
		name           string
		err            error
		target, isSent bool
	}{
		{"the server refuses", core.AtServer(core.AtTarget(plain)), false, false},
		{"the greeting was cut off", core.Unsent(core.Sent(plain)), false, false},
		{"one mark hides nothing of the other", core.AtServer(core.Sent(core.AtTarget(plain))), false, true},
		{"nor the other way", core.Unsent(core.Sent(core.AtTarget(plain))), true, false},
		{"within", fmt.Errorf("hop: %w", core.AtServer(fmt.Errorf("dial: %w", core.AtTarget(plain)))), false, false},
		{"marked above", core.AtTarget(core.AtServer(plain)), true, false},
		{"one of two", errors.Join(core.AtServer(core.AtTarget(plain)), core.AtTarget(plain)), true, false},
		{"neither of two", core.AtServer(errors.Join(plain, core.AtTarget(plain))), false, false},
	} {
		if got := core.IsAtTarget(tc.err); got != tc.target {
			t.Errorf("%s: at the target: got %t, want %t", tc.name, got, tc.target)
		}
		if got := core.IsSent(tc.err); got != tc.isSent {
			t.Errorf("%s: sent: got %t, want %t", tc.name, got, tc.isSent)
		}
		if !errors.Is(tc.err, core.ErrMalformed) {
			t.Errorf("%s: got %v, want the cause in it", tc.name, tc.err)
		}
	}
}

// Policies tell failures apart by errors.Is alone, so no sentinel is another.
func TestSentinels(t *testing.T) {
	all := []error{
		core.ErrShort, core.ErrAuth, core.ErrReplay, core.ErrClock, core.ErrMalformed, core.ErrAddrType,
		core.ErrDenied, core.ErrNoPackets, core.ErrIdle, core.ErrShutdown, core.ErrFirstHop,
	}
	for _, a := range all {
		for _, b := range all {
			want := a == b || a == core.ErrAddrType && b == core.ErrMalformed
			if got := errors.Is(a, b); got != want {
				t.Errorf("%v is %v: got %t, want %t", a, b, got, want)
			}
		}
	}
}

func TestBadOption(t *testing.T) {
	err := core.BadOption("listen", "port %d: %w", 0, core.ErrMalformed)
	var option *core.OptionError
	if !errors.As(err, &option) || option.Key != "listen" || !errors.Is(err, core.ErrMalformed) {
		t.Fatalf("got %#v, want an OptionError for listen that wraps core.ErrMalformed", err)
	}
	if got, want := err.Error(), "listen: port 0: malformed"; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
}

func TestEventKinds(t *testing.T) {
	for kind, want := range map[core.EventKind]string{
		core.Opened: "opened", core.Refused: "refused", core.HandshakeFailed: "handshake failed",
		core.DialFailed: "dial failed", core.Closed: "closed", 0: "unknown", core.Closed + 1: "unknown", 255: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d: got %q, want %q", uint8(kind), got, want)
		}
	}
}
