package autoban

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// holder is a Banner that records its calls.
type holder struct {
	bans, closed int
	fail         error
}

func (h *holder) Ban(netip.Prefix, time.Duration) error { h.bans++; return h.fail }
func (h *holder) Close() error                          { h.closed++; return nil }

// After the end of the log, bans stay in force until they expire or a signal arrives.
func TestRunEnd(t *testing.T) {
	const line = "ERROR    " + Phrase + " 192.0.2.1:4711\n"
	for _, tc := range []struct {
		name   string
		log    string
		signal time.Duration // time of a signal, or 0
		fail   error
		lasts  time.Duration
		out    string
		err    string
	}{
		{"bans", line, 0, nil, 10 * time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans stay in force for 10m0s, or until a signal\n"},
		{"a signal", line, time.Minute, nil, time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans stay in force for 10m0s, or until a signal\n"},
		{"no ban", "nothing\n", 0, nil, 0, "", ""},
		{"a ban that failed", line, 0, errors.New("no room"), 0, "", "umbra autoban: ban 192.0.2.1: no room\n"},
		{"a last line without an end", strings.TrimSuffix(line, "\n"), time.Minute, nil, time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans stay in force for 10m0s, or until a signal\n"},
		{"a line that is too long", strings.Repeat("x", maxLogLine) + line, 0, nil, 0, "", ""},
		{"one after such a line", strings.Repeat("x", 3*maxLogLine) + "\n" + line, time.Minute, nil, time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans stay in force for 10m0s, or until a signal\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out, stderr bytes.Buffer
				signals := make(chan os.Signal, 1)
				h := &holder{fail: tc.fail}
				rules := Rules{Count: 1, Window: time.Minute, Duration: 10 * time.Minute, MaxDuration: time.Hour}
				r := &Run{
					Jail: NewJail(rules), Table: h, Holds: true,
					Log: strings.NewReader(tc.log), Stdout: &out, Stderr: &stderr,
				}
				if tc.signal > 0 {
					time.AfterFunc(tc.signal, func() { signals <- syscall.SIGINT })
				}
				began := time.Now()
				if err := r.Follow(t.Context(), signals); err != nil {
					t.Errorf("got %v, want nil", err)
				}
				if took := time.Since(began); took != tc.lasts {
					t.Errorf("got an end after %s, want %s", took, tc.lasts)
				}
				if out.String() != tc.out || stderr.String() != tc.err || h.closed != 1 {
					t.Errorf("got %q and %q, closed %d times, want %q and %q, once", out.String(), stderr.String(), h.closed, tc.out, tc.err)
				}
			})
		})
	}
}
