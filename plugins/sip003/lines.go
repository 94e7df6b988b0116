package sip003

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	maxLine       = 1024             // of a plugin's line, in bytes; the rest is left out
	linesPerSpell = 50               // how many lines of a plugin are logged in each spell
	spell         = 10 * time.Second // how long a spell is
)

// lines logs what a plugin prints, a record a line.
type lines struct {
	log *slog.Logger

	mu      sync.Mutex
	part    []byte    // of a line that is not ended yet
	until   time.Time // the end of the spell
	count   int       // lines of it
	dropped int
}

// Write takes what a plugin prints. It never fails: a plugin must not end for its log.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		piece, rest := p, []byte(nil)
		if end >= 0 {
			piece, rest = p[:end], p[end+1:]
		}
		l.part = append(l.part, piece[:min(len(piece), maxLine-len(l.part))]...)
		if end >= 0 {
			l.say()
		}
		p = rest
	}
	return n, nil
}

// flush logs a line that was not ended.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.say()
}

// say logs the line. l.mu is held.
func (l *lines) say() {
	text := string(bytes.TrimSpace(l.part))
	l.part = l.part[:0]
	if text == "" {
		return
	}
	now := time.Now()
	if now.After(l.until) {
		l.until, l.count = now.Add(spell), 0
	}
	if l.count++; l.count > linesPerSpell {
		l.dropped++
		return
	}
	attrs := []any{slog.String("line", core.Visible(text, ""))}
	if l.dropped > 0 {
		attrs = append(attrs, slog.Int("suppressed", l.dropped))
		l.dropped = 0
	}
	l.log.Info("plugin says", attrs...)
}
