package logging

import (
	"errors"
	"log/slog"
	"os"
	"time"
)

// checkEvery is the interval between looks at whether a log file was replaced.
const checkEvery = time.Second

var errPipe = errors.New("it is a named pipe; want a file")

// File is a sink that appends to a file. If another program has renamed or removed the
// file, as one that rotates logs does, the next line creates it again.
type File struct {
	path    string
	file    *os.File
	checked time.Time
	torn    bool // the last line was written in part
}

var _ Sink = (*File)(nil)

// OpenFile opens the file at path, and creates it if need be. Its user and its group may
// read it, because lines have addresses of clients.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	if err := f.Reopen(); err != nil {
		return nil, err
	}
	return f, nil
}

// WriteLine appends a line.
func (f *File) WriteLine(_ slog.Level, line []byte) error {
	if now := time.Now(); now.Sub(f.checked) >= checkEvery {
		f.checked = now
		if f.isReplaced() {
			_ = f.Reopen() // the old file stays in use
		}
	}
	if f.torn {
		if _, err := f.file.Write([]byte{'\n'}); err != nil {
			return err
		}
		f.torn = false
	}
	n, err := f.file.Write(line)
	f.torn = err != nil && n > 0
	return err
}

// isReplaced reports whether the path no longer leads to the file.
func (f *File) isReplaced() bool {
	at, err := os.Stat(f.path)
	if err != nil {
		return true
	}
	held, err := f.file.Stat()
	return err == nil && !os.SameFile(at, held)
}

// Reopen opens the file at the path.
func (f *File) Reopen() error {
	if at, err := os.Stat(f.path); err == nil && at.Mode()&os.ModeNamedPipe != 0 {
		return &os.PathError{Op: "open", Path: f.path, Err: errPipe} // it would wait for a reader
	}
	next, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.torn, f.checked = next, false, time.Now()
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
