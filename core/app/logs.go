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
// while it is in use: each logger derived from it keeps both forms at hand.
type logs struct {
	setting    *setting // shared by all that are derived
	text, json slog.Handler
}

// setting is what a reload may change.
type setting struct {
	level  slog.LevelVar
	asJSON atomic.Bool
}

var _ slog.Handler = (*logs)(nil)

// newLogs returns a handler that writes each line in one Write to w.
func newLogs(w io.Writer) *logs {
	s := new(setting)
	w = &oneAtATime{w: w}
	return &logs{s, &textHandler{w: w, layout: timeLayout}, slog.NewJSONHandler(w, &slog.HandlerOptions{Level: &s.level})}
}

// set changes level and form of all derived handlers.
func (l *logs) set(to config.Log) {
	l.setting.level.Set(to.Level.Level())
	l.setting.asJSON.Store(to.Format == config.FormatJSON)
}

// Enabled implements slog.Handler.
func (l *logs) Enabled(_ context.Context, level slog.Level) bool {
	return level >= l.setting.level.Level()
}

// Handle implements slog.Handler.
func (l *logs) Handle(ctx context.Context, r slog.Record) error {
	if l.setting.asJSON.Load() {
		return l.json.Handle(ctx, r)
	}
	return l.text.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *logs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logs{l.setting, l.text.WithAttrs(attrs), l.json.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (l *logs) WithGroup(name string) slog.Handler {
	return &logs{l.setting, l.text.WithGroup(name), l.json.WithGroup(name)}
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
