package top

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core/terminal"
	"github.com/umbra-proxy/umbra/core/view"
)

// process is a running process whose counters grow by its own clock.
type process struct {
	mu    sync.Mutex
	began time.Time
	gone  bool
	asked int           // for snapshots
	slow  time.Duration // to answer
	cut   []string
}

func (p *process) fail() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return errors.New("reach the process: connection refused")
	}
	return nil
}

func (p *process) setGone(gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = gone
}

func (p *process) Status(context.Context) (view.Status, error) {
	return view.Status{Version: "v1", PID: 4711, Started: p.began, File: "/etc/umbra/server.toml"}, p.fail()
}

// moved returns bytes: so many a second since the beginning.
func (p *process) moved(perSecond int64) int64 {
	return perSecond * int64(time.Since(p.began)/time.Second)
}

func (p *process) Snapshot(context.Context) (view.Snapshot, error) {
	p.mu.Lock()
	p.asked++
	slow := p.slow
	p.mu.Unlock()
	time.Sleep(slow) // of the bubble
	return view.Snapshot{
		Time: time.Now(), Generation: 3, Ready: true,
		Pipelines: []view.PipelineState{
			{Name: "web", Streams: 2, Handshakes: 1, Up: p.moved(10), Down: p.moved(1024), Accepted: 9, Ended: map[string]uint64{"ok": 4, "timeout": 2}},
			{Name: "local", Streams: 1, UDP: 4, Up: p.moved(5 << 20), Down: p.moved(1 << 20)},
		},
		Components: map[string]view.ComponentState{
			"outbound.paris": {State: view.OK, Connections: 3, Up: p.moved(7)},
			"outbound.tokyo": {State: view.Bad, LastError: "dial\x1b[2J refused"},
			"policy.ban":     {State: view.OK},
		},
	}, p.fail()
}

func (p *process) Users(context.Context) ([]view.User, error) {
	return []view.User{
		{Name: "alice", Connections: 2, Up: p.moved(100), Used: 1 << 30, Quota: 2 << 30, LastSeen: time.Now().Add(-time.Minute)},
		{Name: "bob\x07", Connections: 1},
	}, p.fail()
}

func (p *process) Connections(context.Context) ([]view.Connection, error) {
	var all []view.Connection
	for i := range 100 {
		all = append(all, view.Connection{
			ID: uint64(i + 1), Pipeline: "web", Network: "tcp", Client: fmt.Sprintf("192.0.2.%d:4711", i), User: "alice",
			Target: fmt.Sprintf("host-%d\x1b]0;pwned\x07.example:443", i), Path: []string{"outbound.paris"}, State: "relaying",
			Since: p.began, Down: p.moved(int64(i)),
		})
	}
	return all, p.fail()
}

func (p *process) Cut(_ context.Context, by Group, name string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = append(p.cut, string(by)+" "+name)
	if name == "local" {
		return 0, errors.New("not allowed")
	}
	return 2, nil
}

// tty keeps what was drawn last.
type tty struct {
	mu            sync.Mutex
	width, height int
	drawn         []terminal.Line
}

func (t *tty) Size() (int, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.width, t.height
}

func (t *tty) resize(width, height int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.width, t.height = width, height
}

func (t *tty) Draw(lines []terminal.Line) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drawn = lines
	return nil
}

func (t *tty) Suspend() error { return nil }

// text returns the screen, without spaces at the ends of lines; the selected line begins
// with ">".
func (t *tty) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, l := range t.drawn {
		if l.Style == terminal.Reverse {
			b.WriteString(">")
		}
		b.WriteString(strings.TrimRight(l.Text, " ") + "\n")
	}
	return b.String()
}
