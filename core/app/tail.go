package app

import (
	"bytes"
	"log/slog"
	"sync"
)

// tailLines is how many lines of the log are kept for who asks for the last ones, and
// tailWidth how many bytes of each.
const (
	tailLines = 1000
	tailWidth = 1000
)

// tail passes lines on, and keeps the last ones while it is switched on.
type tail struct {
	next lineWriter

	mu    sync.Mutex
	on    bool     // guarded by mu, as all that follows
	lines []string // a ring once it is full
	first int      // the oldest line of the ring
}

// WriteLine implements lineWriter.
func (t *tail) WriteLine(level slog.Level, line []byte) {
	t.keep(line)
	t.next.WriteLine(level, line)
}

func (t *tail) keep(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on {
		return
	}
	text := bytes.TrimRight(line, "\n")
	kept := string(text[:min(len(text), tailWidth)])
	if len(t.lines) < tailLines {
		t.lines = append(t.lines, kept)
		return
	}
	t.lines[t.first] = kept
	t.first = (t.first + 1) % tailLines
}

// turn switches the tail on or off. Off, it forgets all lines.
func (t *tail) turn(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on = on; !on {
		t.lines, t.first = nil, 0
	}
}

// last returns at most n lines, the latest last.
func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append(append([]string{}, t.lines[t.first:]...), t.lines[:t.first]...)
	return all[max(0, len(all)-n):]
}
