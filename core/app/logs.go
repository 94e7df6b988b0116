package app

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core/config"
)

// logs is the handler of the service's log. Its level and its form can change
// while it is in use: each logger derived from it keeps all forms at hand.
type logs struct {
	setting            *setting // shared by all that are derived
	text, json, python slog.Handler
}

// setting is what a reload may change.
type setting struct {
	level  slog.LevelVar
	format atomic.Pointer[config.Format] // never nil
}

var _ slog.Handler = (*logs)(nil)

// newLogs returns a handler that writes each line in one Write to w.
func newLogs(w io.Writer) *logs {
	s := new(setting)
	text := config.FormatText
	s.format.Store(&text)
	w = &oneAtATime{w: w}
	return &logs{
		setting: s,
		text:    &textHandler{w: w, layout: timeLayout},
		json:    slog.NewJSONHandler(w, &slog.HandlerOptions{Level: &s.level}),
		python:  &pythonHandler{textHandler{w: w}, &s.level},
	}
}

// set changes level and form of all derived handlers.
func (l *logs) set(to config.Log) {
	l.setting.level.Set(to.Level.Level())
	l.setting.format.Store(&to.Format)
}

// Enabled implements slog.Handler. The form of the Python original has errors that
// are warnings elsewhere: it says itself what it writes.
func (l *logs) Enabled(ctx context.Context, level slog.Level) bool {
	if *l.setting.format.Load() == config.FormatPython {
		return l.python.Enabled(ctx, level)
	}
	return level >= l.setting.level.Level()
}

// Handle implements slog.Handler.
func (l *logs) Handle(ctx context.Context, r slog.Record) error {
	switch *l.setting.format.Load() {
	case config.FormatJSON:
		return l.json.Handle(ctx, r)
	case config.FormatPython:
		return l.python.Handle(ctx, r)
	}
	return l.text.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *logs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logs{l.setting, l.text.WithAttrs(attrs), l.json.WithAttrs(attrs), l.python.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (l *logs) WithGroup(name string) slog.Handler {
	return &logs{l.setting, l.text.WithGroup(name), l.json.WithGroup(name), l.python.WithGroup(name)}
}

// oneAtATime keeps the lines of several handlers apart.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (o *oneAtATime) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}
