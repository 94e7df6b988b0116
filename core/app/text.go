package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// timeLayout is the form of a line's time, which is in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// textHandler writes lines for people:
//
//	2006-01-02T15:04:05.000Z INFO  message key=value key="two words"
//
// A value with spaces, quotes, equals signs or characters that do not print is
// quoted as in Go, so a line is always one line and a peer can't forge one.
type textHandler struct {
	w      io.Writer  // one Write a line
	layout string     // of the time; "" leaves it out
	least  slog.Level // the least important level to write
	attrs  []byte     // of WithAttrs, as they are written
	group  string     // of WithGroup, with a dot at its end
}

var _ slog.Handler = (*textHandler)(nil)

// Enabled implements slog.Handler.
func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least }

// Handle writes a line.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	if h.layout != "" && !r.Time.IsZero() {
		b = append(r.Time.UTC().AppendFormat(b, h.layout), ' ')
	}
	b = fmt.Appendf(b, "%-5s %s", r.Level, printable(r.Message))
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.group, a)
		return true
	})
	_, err := h.w.Write(append(b, '\n'))
	return err
}

// WithAttrs implements slog.Handler.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = with.attrs[:len(with.attrs):len(with.attrs)] // append to a copy
	for _, a := range attrs {
		with.attrs = appendAttr(with.attrs, h.group, a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *textHandler) WithGroup(name string) slog.Handler {
	with := *h
	if name != "" {
		with.group += name + "."
	}
	return &with
}

// appendAttr appends " key=value" to b, for each attribute of a group.
func appendAttr(b []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return b
	case v.Kind() == slog.KindGroup:
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range v.Group() {
			b = appendAttr(b, group, member)
		}
		return b
	}
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().UTC().Format(time.RFC3339Nano)
	}
	b = append(b, ' ')
	b = append(b, quoted(group+a.Key)...)
	b = append(b, '=')
	return append(b, quoted(text)...)
}

// quoted returns s, in quotes if it could not be told from its surroundings.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, ` "=`) {
		return strconv.Quote(s)
	}
	return printable(s)
}

// printable returns s, in quotes if something in it does not print.
func printable(s string) string {
	hidden := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if strings.ContainsFunc(s, hidden) {
		return strconv.Quote(s)
	}
	return s
}
