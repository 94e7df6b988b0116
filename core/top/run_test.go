package top

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/terminal"
)

// running is a screen that runs in a bubble of synctest.
type running struct {
	*testing.T
	process *process
	tty     *tty
	keys    chan terminal.Key
	resized chan os.Signal
	ended   chan error
}

func start(t *testing.T, o Options) *running {
	r := &running{t, &process{began: time.Now()}, &tty{width: 100, height: 12}, make(chan terminal.Key), make(chan os.Signal), make(chan error, 1)}
	time.Sleep(10 * time.Second) // of the bubble
	go func() { r.ended <- Run(t.Context(), r.process, r.tty, r.keys, r.resized, o) }()
	synctest.Wait()
	return r
}

// press presses keys and returns the screen.
func (r *running) press(keys ...terminal.Key) string {
	for _, k := range keys {
		r.keys <- k
	}
	synctest.Wait()
	return r.tty.text()
}

func (r *running) write(text string) string { return r.press([]terminal.Key(text)...) }

// later returns the screen after the next samples.
func (r *running) later(d time.Duration) string {
	time.Sleep(d)
	synctest.Wait()
	return r.tty.text()
}

func (r *running) want(screen, want string) {
	r.Helper()
	if !strings.Contains(screen, want) {
		r.Errorf("the screen has no %q:\n%s", want, screen)
	}
}

func (r *running) quit() {
	r.Helper()
	r.keys <- 'q'
	if err := <-r.ended; err != nil {
		r.Error(err)
	}
}

const firstScreen = `umbra v1  server.toml  pid 4711  up 10s  generation 3  ready
streams 3  associations 4  handshakes 1  up -  down -
by pipeline, 2, sorted by rate
PIPELINE  CONNS  UP/S  DOWN/S       UP     DOWN  HANDSHAKES  ACCEPTED  FAILED
local         5     -       -  50.0MiB  10.0MiB           0         0       0
web           2     -       -     100B  10.0KiB           1         9       2





p pipelines  u users  o outbounds  c connections  s sort  / filter  k cut  q quit
`

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{By: ByPipeline, Order: ByRate})
		if got := r.tty.text(); got != firstScreen {
			t.Errorf("got\n%s\nwant\n%s", got, firstScreen)
		}
		screen := r.later(time.Second)
		r.want(screen, "up 5.0MiB/s  down 1.0MiB/s")
		r.want(screen, "\nlocal         5  5.0MiB/s  1.0MiB/s  55.0MiB")
		r.want(screen, "\nweb           2     10B/s  1.0KiB/s")

		screen = r.press('o')
		r.want(screen, "by outbound, 2, sorted by rate")
		r.want(screen, "outbound.tokyo      0     -       -   0B    0B    bad  dial?[2J refused")
		if strings.Contains(screen, "policy") {
			t.Errorf("what is no outbound:\n%s", screen)
		}
		screen = r.press('u')
		r.want(screen, "bob?")
		r.want(r.later(time.Second), "alice      2  100B/s    0B/s  1.2KiB    0B  1.0GiB  2.0GiB    1m")
		r.quit()
	})
}

// The list of connections is longer than the screen: it moves with the selection.
func TestRunConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{By: ByConnection, Order: ByRate})
		screen := r.later(time.Second)
		r.want(screen, "by connection, 100, sorted by rate")
		r.want(screen, "\n100  11s  alice  192.0.2.99:4711")
		r.want(screen, "host-99?]0;pwned?.examp~")
		if n := strings.Count(screen, "\n"); n != 12 {
			t.Errorf("%d lines on a screen of 12:\n%s", n, screen)
		}
		r.want(r.press('s', 's'), "sorted by connections")
		r.want(r.press(terminal.Left, terminal.Right, terminal.Right), "sorted by rate")
		r.want(r.press(terminal.Left), "sorted by connections")
		screen = r.press(terminal.Home)
		r.want(screen, "\n> 1  ")
		screen = r.press(terminal.Down, terminal.Down, terminal.Up)
		r.want(screen, "\n> 2  ")
		screen = r.press(terminal.End)
		r.want(screen, "\n>100  ")
		screen = r.press(terminal.PageUp)
		r.want(screen, "\n> 94  ")

		// The selection stays on its row over samples and other orders.
		r.want(r.later(2*time.Second), "\n> 94  ")
		r.want(r.press('s'), "\n>94  ")

		// A filter, which may be corrected.
		screen = r.write("/host-42x")
		r.want(screen, "filter: host-42x_")
		r.want(screen, "by connection, 0,")
		screen = r.press(terminal.Backspace, terminal.Enter, terminal.Down)
		r.want(screen, `by connection, 1, sorted by rate, with "host-42"`)
		r.want(screen, "\n>43  ")
		screen = r.press(terminal.Escape)
		r.want(screen, "by connection, 100, sorted by rate\n")
		r.want(screen, "\n100  ")
		r.quit()
	})
}

func TestRunCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{By: ByUser, Order: ByRate})
		r.want(r.press('k'), "no row is selected")
		r.want(r.press(terminal.Down, 'k'), "cut all connections of user alice? y or n")
		r.want(r.press('x'), "nothing was cut")
		r.want(r.press('k', 'y'), "2 connections cut")
		r.press('c')
		r.press('s', 's', terminal.Home)
		r.want(r.press('k'), "cut connection 1 to host-0?]0;pwned?.example:443? y or n")
		r.press('Y')
		r.press('p')
		r.press(terminal.Home)
		r.want(r.press('k', 'y'), "0 connections cut: not allowed")
		r.write("/nobody\r")
		r.want(r.press('k'), "no row is selected")
		r.quit()
		if got := strings.Join(r.process.cut, ", "); got != "user alice, connection 1, pipeline local" {
			t.Errorf("cut %s", got)
		}
	})
}

// A process that goes away is asked until it is back, and a screen of any size is drawn.
func TestRunGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{By: ByPipeline, Order: ByRate})
		r.process.setGone(true)
		screen := r.later(3 * time.Second)
		r.want(screen, "\nreach the process: connection refused\n")
		r.want(screen, "\nlocal")
		r.process.setGone(false)
		r.want(r.later(time.Second), "\nby pipeline, 2, sorted by rate\n")
		for _, size := range [][2]int{{40, 8}, {20, 5}, {3, 2}, {1, 1}, {300, 80}} {
			r.tty.resize(size[0], size[1])
			r.resized <- syscall.SIGHUP // any value says so
			synctest.Wait()
			if n := strings.Count(r.tty.text(), "\n"); n != size[1] {
				t.Errorf("%d lines on a screen of %d", n, size[1])
			}
			for _, l := range r.tty.drawn {
				if l.Text != "" && terminal.Width(l.Text) != size[0] {
					t.Errorf("a line of %d on a screen of %d", terminal.Width(l.Text), size[0])
				}
			}
		}
		r.press(terminal.Interrupt)
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
}

// A process that takes long to answer is asked less often, and keys are taken meanwhile.
func TestRunSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{By: ByPipeline, Order: ByRate})
		r.later(10 * time.Second)
		if r.process.asked != 11 {
			t.Errorf("asked %d times in 10 s, want 11", r.process.asked)
		}
		r.process.mu.Lock()
		r.process.asked, r.process.slow = 0, 500*time.Millisecond
		r.process.mu.Unlock()
		r.later(60 * time.Second)
		if r.process.asked < 9 || r.process.asked > 12 {
			t.Errorf("asked %d times in 60 s, want one in 5 s or so", r.process.asked)
		}
		r.process.mu.Lock()
		r.process.slow = time.Minute
		r.process.mu.Unlock()
		r.later(10 * time.Second)
		r.want(r.press('s'), "sorted by total")
		r.quit() // which waits for the answer
	})
}
