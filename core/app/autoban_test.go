package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/autoban"
)

// follower is an umbra autoban --dry-run in a bubble.
type follower struct {
	log     *io.PipeWriter // its standard input
	signals chan os.Signal
	status  chan int

	mu       sync.Mutex
	out, err bytes.Buffer // guarded by mu
}

// locked is a writer to one of f's buffers.
type locked struct {
	f *follower
	b *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	return l.b.Write(p)
}

func follow(t *testing.T, args ...string) *follower {
	t.Helper()
	r, w := io.Pipe()
	f := &follower{log: w, signals: make(chan os.Signal), status: make(chan int, 1)}
	t.Cleanup(func() { w.Close() })
	go func() {
		f.status <- Run(Console{
			Args:  append([]string{"autoban", "--dry-run"}, args...),
			Stdin: r, Stdout: locked{f, &f.out}, Stderr: locked{f, &f.err},
			Signals: func() (<-chan os.Signal, func()) { return f.signals, func() {} },
		})
	}()
	return f
}

// say writes lines of failed handshakes, without a time, and waits until they are
// counted.
func (f *follower) say(clients ...string) {
	for _, c := range clients {
		fmt.Fprintf(f.log, "ERROR    %s %s:4711\n", autoban.Phrase, c)
	}
	synctest.Wait()
}

func (f *follower) bans() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.TrimSuffix(f.out.String(), "\n")
}

// Lines without a time count when they come; bans end, and become longer.
func TestAutobanFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, "--count", "2", "--duration", "1m", "--max-duration", "3m", "--window", "10m")
		f.say("192.0.2.1")
		time.Sleep(10 * time.Minute)
		f.say("192.0.2.1") // the first counts no more
		time.Sleep(time.Minute)
		f.say("192.0.2.1", "192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2")
		time.Sleep(time.Minute)
		f.say("192.0.2.1", "192.0.2.1")
		time.Sleep(2 * time.Minute)
		f.say("192.0.2.1", "192.0.2.1")
		time.Sleep(7 * time.Minute)
		f.say("192.0.2.1", "192.0.2.1")
		want := `ban 192.0.2.1 for 1m0s: 2 failures in 1m0s
ban 2001:db8::/64 for 1m0s: 2 failures in 0s
ban 192.0.2.1 for 2m0s: 2 failures in 0s
ban 192.0.2.1 for 3m0s: 2 failures in 0s
ban 192.0.2.1 for 1m0s: 2 failures in 0s`
		if got := f.bans(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		f.signals <- syscall.SIGHUP // changes nothing
		f.signals <- syscall.SIGTERM
		if got := <-f.status; got != statusOK {
			t.Errorf("got status %d, want %d", got, statusOK)
		}
	})
}

// holder is a banner that remembers what became of it.
type holder struct {
	bans, closed int
	fail         error
}

func (h *holder) Ban(netip.Prefix, time.Duration) error { h.bans++; return h.fail }
func (h *holder) Close() error                          { h.closed++; return nil }

// After the end of the log bans that are in force last, to their end or until a
// signal.
func TestAutobanEnd(t *testing.T) {
	const line = "ERROR    " + autoban.Phrase + " 192.0.2.1:4711\n"
	for _, tc := range []struct {
		name   string
		log    string
		signal time.Duration // after which one comes, or 0
		fail   error
		lasts  time.Duration
		out    string
		err    string
	}{
		{"bans", line, 0, nil, 10 * time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans hold for 10m0s, or until a signal\n"},
		{"a signal", line, time.Minute, nil, time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans hold for 10m0s, or until a signal\n"},
		{"no ban", "nothing\n", 0, nil, 0, "", ""},
		{"a ban that failed", line, 0, errors.New("no room"), 0, "", "umbra autoban: 192.0.2.1 is not banned: no room\n"},
		{"a last line without an end", strings.TrimSuffix(line, "\n"), time.Minute, nil, time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans hold for 10m0s, or until a signal\n"},
		{"a line that is too long", strings.Repeat("x", maxLogLine) + line, 0, nil, 0, "", ""},
		{"one after such a line", strings.Repeat("x", 3*maxLogLine) + "\n" + line, time.Minute, nil, time.Minute, "ban 192.0.2.1 for 10m0s: 1 failure in 0s\n", "umbra autoban: end of the log; bans hold for 10m0s, or until a signal\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out, told bytes.Buffer
				signals := make(chan os.Signal, 1)
				h := &holder{fail: tc.fail}
				rules := autoban.Rules{Count: 1, Window: time.Minute, Duration: 10 * time.Minute, MaxDuration: time.Hour}
				b := &banning{
					app:  &app{Console: Console{Stdin: strings.NewReader(tc.log), Stdout: &out, Stderr: &told}},
					jail: autoban.NewJail(rules), table: h, holds: true,
				}
				if tc.signal > 0 {
					time.AfterFunc(tc.signal, func() { signals <- syscall.SIGINT })
				}
				began := time.Now()
				if err := b.follow(t.Context(), signals); err != nil {
					t.Errorf("got %v, want nil", err)
				}
				if took := time.Since(began); took != tc.lasts {
					t.Errorf("got an end after %s, want %s", took, tc.lasts)
				}
				if out.String() != tc.out || told.String() != tc.err || h.closed != 1 {
					t.Errorf("got %q and %q, closed %d times, want %q and %q, once", out.String(), told.String(), h.closed, tc.out, tc.err)
				}
			})
		})
	}
}
