package app

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core/config"
)

// lineWriter is where a handler writes its lines, each of which ends in '\n'.
type lineWriter interface {
	WriteLine(level slog.Level, line []byte)
}

// plainLines writes each line in one Write.
type plainLines struct{ io.Writer }

func (p plainLines) WriteLine(_ slog.Level, line []byte) { _, _ = p.Write(line) }

// logs is the handler of the service's log. Its level and its form can change
// while it is in use: each logger derived from it keeps all forms at hand.
type logs struct {
	setting      *setting // shared by all that are derived
	text, python slog.Handler
	json         jsonHandlers
}

// setting is what a reload may change.
type setting struct {
	level  slog.LevelVar
	format atomic.Pointer[config.Format] // never nil
}

var _ slog.Handler = (*logs)(nil)

// newLogs returns a handler that writes its lines to w.
func newLogs(w lineWriter) *logs { return newSetting().logs(w) }

func newSetting() *setting {
	s := new(setting)
	text := config.FormatText
	s.format.Store(&text)
	return s
}

// logs returns a handler of the setting that writes its lines to w.
func (s *setting) logs(w lineWriter) *logs {
	return &logs{
		setting: s,
		text:    &textHandler{w: w, layout: timeLayout},
		json:    newJSONHandlers(w, &s.level),
		python:  &pythonHandler{textHandler{w: w}, &s.level},
	}
}

// set changes level and form of all derived handlers.
func (l *logs) set(to config.Log) {
	l.setting.level.Set(to.Level.Level())
	l.setting.format.Store(&to.Format)
}

// reportMissing returns the line that says that lines are missing: see logging.Report.
func (s *setting) reportMissing(lines int, cause error) (slog.Level, []byte) {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped", 0)
	if lines > 0 {
		r.AddAttrs(slog.Int("lines", lines))
	} else {
		r.Message = "log not opened again, the old one stays in use"
	}
	if cause != nil {
		r.AddAttrs(slog.Any("err", cause))
	} else {
		r.AddAttrs(slog.String("err", "the reader of the log was too slow; [log] queue bounds how many wait"))
	}
	var made madeLine
	_ = s.logs(&made).Handle(context.Background(), r)
	if len(made.line) == 0 { // a form that drops lines below the level
		r.Level = slog.LevelError
		_ = s.logs(&made).Handle(context.Background(), r)
	}
	return r.Level, made.line
}

// madeLine keeps the last line.
type madeLine struct{ line []byte }

func (m *madeLine) WriteLine(_ slog.Level, line []byte) { m.line = append(m.line[:0], line...) }

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
		return l.json.handle(ctx, r)
	case config.FormatPython:
		return l.python.Handle(ctx, r)
	}
	return l.text.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *logs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logs{l.setting, l.text.WithAttrs(attrs), l.python.WithAttrs(attrs), l.json.withAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (l *logs) WithGroup(name string) slog.Handler {
	return &logs{l.setting, l.text.WithGroup(name), l.python.WithGroup(name), l.json.withGroup(name)}
}
