//go:build !windows && !plan9

package logging

import (
	"bytes"
	"log/slog"
	"log/syslog"
	"os"
	"strconv"
	"syscall"
)

// daemon is a sink that sends lines to the syslog daemon of this machine.
type daemon struct{ w *syslog.Writer }

var _ Sink = (*daemon)(nil)

// OpenSyslog connects to the syslog daemon of this machine. Lines have the facility
// "daemon" and the tag "umbra". If the daemon is started again, so is the connection.
func OpenSyslog() (Sink, error) {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "umbra")
	if err != nil {
		return nil, err
	}
	return &daemon{w}, nil
}

func (d *daemon) WriteLine(level slog.Level, line []byte) error {
	text := string(bytes.TrimSuffix(line, []byte{'\n'}))
	switch severity(level) {
	case 3:
		return d.w.Err(text)
	case 4:
		return d.w.Warning(text)
	case 6:
		return d.w.Info(text)
	}
	return d.w.Debug(text)
}

func (*daemon) Reopen() error  { return nil }
func (d *daemon) Close() error { return d.w.Close() }

// inode returns the device and the inode of a file as JOURNAL_STREAM names them, "" if
// they are not known.
func inode(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(s.Dev), 10) + ":" + strconv.FormatUint(uint64(s.Ino), 10)
}
