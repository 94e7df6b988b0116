package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/umbra-proxy/umbra/core/autoban"
)

// pythonTime is the form of a line's time in the Python original, which is local.
const pythonTime = autoban.PythonTime

// pythonHandler writes lines as the Python original does, for the tools that read
// its log:
//
//	2006-01-02 15:04:05 INFO     message key=value key="two words"
//
// A line about a core.Suspect is that of the original, an ERROR, and no more. At
// the level debug another one before it has the message and the attributes.
type pythonHandler struct {
	textHandler
	bound slog.Leveler // the least important level to write
}

var _ slog.Handler = (*pythonHandler)(nil)

// Enabled implements slog.Handler. A suspect's record is a warning, and its line an
// error.
func (h *pythonHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= min(h.bound.Level(), slog.LevelWarn)
}

// Handle writes a line, or two.
func (h *pythonHandler) Handle(_ context.Context, r slog.Record) error {
	text, suspect := h.appendText(nil, r)
	level, least := r.Level, h.bound.Level()
	if suspect.IsValid() {
		level = slog.LevelError
		if least <= slog.LevelDebug {
			b := append(appendHead(make([]byte, 0, 256), r, slog.LevelDebug), text...)
			h.w.WriteLine(slog.LevelDebug, append(b, '\n'))
		}
		text = appendUnparsed(nil, suspect)
	}
	if level < least {
		return nil
	}
	b := append(appendHead(make([]byte, 0, 256), r, level), text...)
	h.w.WriteLine(level, append(b, '\n'))
	return nil
}

// appendHead appends what a line begins with.
func appendHead(b []byte, r slog.Record, level slog.Level) []byte {
	name := level.String()
	if level == slog.LevelWarn {
		name = "WARNING"
	}
	return fmt.Appendf(b, "%s %-8s ", r.Time.Local().Format(pythonTime), name)
}

// WithAttrs implements slog.Handler.
func (h *pythonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &pythonHandler{*h.textHandler.WithAttrs(attrs).(*textHandler), h.bound}
}

// WithGroup implements slog.Handler.
func (h *pythonHandler) WithGroup(name string) slog.Handler {
	return &pythonHandler{*h.textHandler.WithGroup(name).(*textHandler), h.bound}
}
