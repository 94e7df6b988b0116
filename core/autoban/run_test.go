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

	"github.com/umbra-proxy/umbra/core/nft"
)

// holder is a Banner that records its calls.
type holder struct {
	bans, closed int
	fail         error
	repairs      []int // what the calls of Repair return, at last 0
	repaired     int   // calls
}

func (h *holder) Repair() (int, error) {
	if h.repaired++; h.repaired > len(h.repairs) {
		return 0, nil
	}
	return h.repairs[h.repaired-1], nil
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
		{"a ban that failed", line, 0, nft.ErrFull, 0, "", "umbra autoban: ban 192.0.2.1: the nftables table is full\n"},
		{"a ban that failed for now", line, time.Minute, errors.New("no memory"), time.Minute, "", "umbra autoban: ban 192.0.2.1: no memory\numbra autoban: end of the log; bans stay in force for 10m0s, or until a signal\n"},
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

// What other software deletes is put back within a second while a ban is in force, and
// told in one line; a private address is told with the mend, and an error once.
func TestRunRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, stderr bytes.Buffer
		h := &holder{repairs: []int{0, 2}}
		rules := Rules{Count: 1, Window: time.Minute, Duration: 5500 * time.Millisecond, MaxDuration: time.Hour}
		r := &Run{
			Jail: NewJail(rules), Table: h, Holds: true, Stdout: &out, Stderr: &stderr,
			Log: strings.NewReader("ERROR    " + Phrase + " 10.1.2.3:4711\n"),
		}
		if err := r.Follow(t.Context(), nil); err != nil || h.repaired != 5 {
			t.Errorf("got %v and %d repairs, want 5", err, h.repaired)
		}
		for text, want := range map[string]int{"bans put back": 1, "(2 times)": 1, "10.1.2.3 is a private address": 1, "add --exempt 10.1.2.3\n": 1} {
			if got := strings.Count(stderr.String(), text); got != want {
				t.Errorf("%q: got it %d times, want %d, in\n%s", text, got, want, stderr.String())
			}
		}
		h.fail = errors.New("no memory")
		for range 3 {
			r.tell("ban", h.fail)
		}
		if got := strings.Count(stderr.String(), "no memory"); got != 1 {
			t.Errorf("got an error %d times, want once", got)
		}
	})
}
