package app

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/autoban"
)

// timeLayout is the form of a line's time, which is in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// textHandler writes lines for people:
//
//	2006-01-02T15:04:05.000Z INFO  message key=value key="two words"
//
// A value with spaces, quotes, equals signs or characters that do not print is
// quoted as in Go, so a line is always one line and a peer can't forge one. A line
// about a core.Suspect ends in what the tools look for that ban clients:
//
//	2006-01-02T15:04:05.000Z WARN  message key=value; can not parse header when handling connection from 192.0.2.1:4711
type textHandler struct {
	w      lineWriter
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
	b = fmt.Appendf(b, "%-5s ", r.Level)
	b, suspect := h.appendText(b, r)
	if suspect.IsValid() {
		b = appendUnparsed(append(b, "; "...), suspect)
	}
	h.w.WriteLine(r.Level, append(b, '\n'))
	return nil
}

// appendText appends the message and the attributes to b. A suspect is left out
// and returned.
func (h *textHandler) appendText(b []byte, r slog.Record) (_ []byte, suspect core.Suspect) {
	b = append(b, core.QuoteHidden(r.Message)...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		if s, ok := suspectOf(a); ok {
			suspect = s
		} else {
			b = appendAttr(b, h.group, a)
		}
		return true
	})
	return b, suspect
}

// suspectOf returns the client that an attribute holds, if that is one whose
// handshake failed.
func suspectOf(a slog.Attr) (core.Suspect, bool) {
	if a.Value.Kind() != slog.KindAny {
		return core.Suspect{}, false
	}
	s, ok := a.Value.Any().(core.Suspect)
	return s, ok && s.IsValid()
}

// appendUnparsed appends what the Python original says of a client whose first
// bytes make no request, with an IPv6 address without brackets, as it does.
func appendUnparsed(b []byte, s core.Suspect) []byte {
	b = append(append(b, autoban.Phrase...), ' ')
	b = s.Addr().Unmap().WithZone("").AppendTo(b)
	return strconv.AppendUint(append(b, ':'), uint64(s.Port()), 10)
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

// quoted returns s, in quotes where it could be mistaken for its surroundings. What
// looks like the end of a suspect's line is written so that it does not: there are
// tools that look for it anywhere.
func quoted(s string) string {
	if strings.Contains(s, lure) {
		return strings.ReplaceAll(strconv.Quote(s), lure, `can\x20not\x20parse`)
	}
	if s == "" || strings.ContainsAny(s, ` "=`) {
		return strconv.Quote(s)
	}
	return core.QuoteHidden(s)
}

// lure is the beginning of autoban.Phrase.
const lure = "can not parse"
