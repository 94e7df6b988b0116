package app

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/autoban"
)

// logFollower is an umbra autoban --dry-run in a bubble.
type logFollower struct {
	log     *io.PipeWriter // its standard input
	signals chan os.Signal
	status  chan int

	mu       sync.Mutex
	out, err bytes.Buffer // guarded by mu
}

// locked is a writer to one of f's buffers.
type locked struct {
	f *logFollower
	b *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	return l.b.Write(p)
}

func followLog(t *testing.T, args ...string) *logFollower {
	t.Helper()
	r, w := io.Pipe()
	f := &logFollower{log: w, signals: make(chan os.Signal), status: make(chan int, 1)}
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
func (f *logFollower) say(clients ...string) {
	for _, c := range clients {
		fmt.Fprintf(f.log, "ERROR    %s %s:4711\n", autoban.Phrase, c)
	}
	synctest.Wait()
}

func (f *logFollower) bans() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.TrimSuffix(f.out.String(), "\n")
}

// Lines without a time count when they come; bans end, and become longer.
func TestAutobanFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := followLog(t, "--count", "2", "--duration", "1m", "--max-duration", "3m", "--window", "10m")
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
