package logging

import (
	"io"
	"log/slog"
	"os"
)

// Stream is a sink that writes to the standard error stream, each line in one Write.
type Stream struct {
	w       io.Writer
	journal bool // each line begins with its level, as systemd's journal reads it
	scratch []byte
}

var _ Sink = (*Stream)(nil)

// NewStream returns a sink that writes to w.
func NewStream(w io.Writer) *Stream { return &Stream{w: w} }

// NewJournal returns a sink that writes to w and begins each line with its level: see
// sd-daemon(3).
func NewJournal(w io.Writer) *Stream { return &Stream{w: w, journal: true} }

// IsJournal reports whether w is a stream that systemd's journal reads, which the
// environment variable JOURNAL_STREAM names.
func IsJournal(w io.Writer) bool {
	named := os.Getenv("JOURNAL_STREAM")
	f, ok := w.(*os.File)
	return ok && named != "" && named == inode(f)
}

// WriteLine writes a line.
func (s *Stream) WriteLine(level slog.Level, line []byte) error {
	if s.journal {
		s.scratch = append(s.scratch[:0], '<', '0'+byte(severity(level)), '>')
		s.scratch = append(s.scratch, line...)
		line = s.scratch
	}
	_, err := s.w.Write(line)
	return err
}

// Reopen does nothing.
func (*Stream) Reopen() error { return nil }

// Close does nothing: the stream belongs to the process.
func (*Stream) Close() error { return nil }

// severity returns a level as syslog numbers it: RFC 5424, 6.2.1.
func severity(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}
