package app

import (
	"context"
	"log/slog"
)

// jsonHandlers are handlers of lines of JSON, one for each level of lines: slog's handler
// doesn't tell the level to its writer.
type jsonHandlers [4]slog.Handler

// levels are the levels of jsonHandlers.
var levels = [4]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func newJSONHandlers(w lineWriter, least slog.Leveler) (all jsonHandlers) {
	for i, level := range levels {
		all[i] = slog.NewJSONHandler(leveled{w, level}, &slog.HandlerOptions{Level: least})
	}
	return all
}

// leveled is an io.Writer of lines of one level.
type leveled struct {
	lineWriter
	level slog.Level
}

func (l leveled) Write(line []byte) (int, error) {
	l.WriteLine(l.level, line)
	return len(line), nil
}

func (j *jsonHandlers) handle(ctx context.Context, r slog.Record) error {
	i := len(levels) - 1
	for i > 0 && r.Level < levels[i] {
		i--
	}
	return j[i].Handle(ctx, r)
}

func (j jsonHandlers) withAttrs(attrs []slog.Attr) jsonHandlers {
	for i := range j {
		j[i] = j[i].WithAttrs(attrs)
	}
	return j
}

func (j jsonHandlers) withGroup(name string) jsonHandlers {
	for i := range j {
		j[i] = j[i].WithGroup(name)
	}
	return j
}
