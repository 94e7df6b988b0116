// Package follow has what components share that read a file again when it
// changes: when to look, how to tell a new file from the old one, and what to say of
// one that is wrong.
//
// A component with a goroutine calls Watch and File.Changed: the change is found
// without traffic, and only when the file has stood still for a moment. A component
// without a goroutine has a Value, whose users look at the files as they need them.
package follow

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// every is how often files are looked at. What has changed is read at the next look, if
// it is the same then: a file that is written in place is empty for a moment. So it holds
// within a second.
const every = 250 * time.Millisecond

// settled is how long after its last change a file can be told from a newer one by
// its time alone. Some file systems keep times of two seconds.
const settled = 2 * time.Second

// File is a file that is followed. It is not safe for concurrent use.
type File struct {
	path  string
	limit int64
	seed  maphash.Seed
	info  fs.FileInfo // as it was read last; nil before
	read  time.Time   // when
	sum   uint64      // of what it had
	other *uint64     // the sum at the last look, if it was another
	lost  bool        // the last Read could not read it
}

// New returns the file at path, of at most limit bytes, which has not been read.
func New(path string, limit int64) *File {
	return &File{path: path, limit: limit, seed: maphash.MakeSeed()}
}

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// Info returns what was known of the file when it was read last.
func (f *File) Info() fs.FileInfo { return f.info }

// Read has take read the file. Its errors name the file, but for those of take. A
// file that take refuses counts as read.
func (f *File) Read(take func(io.Reader) error) error {
	next, err := f.open(take)
	if next != nil {
		f.info, f.read, f.sum, f.other = next.info, next.read, next.sum, nil
	}
	f.lost = next == nil
	return err
}

// Differs reports whether the last Read would give another result now: the file has
// other bytes, can't be read any more, or can be read again. Unlike Changed it does not
// wait until the file stands still, so the next Read may find it half written.
func (f *File) Differs() bool {
	if !f.lost && f.isCurrent() {
		return false
	}
	next, err := f.open(func(io.Reader) error { return nil })
	if err != nil || f.lost {
		return (err != nil) != f.lost
	}
	if next.sum != f.sum {
		return true
	}
	f.info, f.read = next.info, next.read
	return false
}

// Changed reports whether the file has other bytes than when it was read last, and has
// had them at the call before. It reads the file where its time can't tell. A file that
// can't be read is an error.
func (f *File) Changed() (bool, error) {
	if f.isCurrent() {
		f.other = nil
		return false, nil
	}
	next, err := f.open(func(io.Reader) error { return nil })
	switch {
	case err != nil:
		f.other = nil
		return false, err
	case f.info == nil:
		return true, nil
	case next.sum != f.sum:
		stands := f.other != nil && *f.other == next.sum
		f.other = &next.sum
		return stands, nil
	}
	f.info, f.read, f.other = next.info, next.read, nil
	return false, nil
}

// isCurrent reports whether the file is as it was read, as far as can be told
// without reading it.
func (f *File) isCurrent() bool {
	if f.info == nil {
		return false
	}
	info, err := os.Stat(f.path)
	return err == nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() &&
		info.ModTime().Equal(f.info.ModTime()) && f.read.Sub(info.ModTime()) > settled
}

// open reads the file to its end, as far as limit, and returns what it was. It
// returns nil if that did not work; an error of take is none of that.
func (f *File) open(take func(io.Reader) error) (*File, error) {
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", f.path) // to open a pipe could take forever
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, f.failed(err)
	}
	defer file.Close()
	next := &File{read: time.Now()}
	if next.info, err = file.Stat(); err != nil {
		return nil, f.failed(err)
	}
	if next.info.Size() > f.limit {
		return nil, f.tooLong()
	}
	var sum maphash.Hash
	sum.SetSeed(f.seed)
	in := &reader{from: io.TeeReader(io.LimitReader(file, f.limit+1), &sum)}
	refused := take(in)
	_, _ = io.Copy(io.Discard, in) // in remembers
	switch {
	case in.err != nil:
		return nil, f.failed(in.err)
	case in.n > f.limit:
		return nil, f.tooLong()
	}
	next.sum = sum.Sum64()
	return next, refused
}

func (f *File) tooLong() error { return fmt.Errorf("%s has more than %d bytes", f.path, f.limit) }

// failed says once what was done to which file.
func (f *File) failed(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("read %s: %w", f.path, err)
}

// reader counts what is read and remembers an error.
type reader struct {
	from io.Reader
	n    int64
	err  error
}

func (r *reader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Watch calls look four times a second until ctx ends. Its error is logged with message,
// and not again while it stays the same.
func Watch(ctx context.Context, log *slog.Logger, message string, look func() error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	complaint := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		text := ""
		if err := look(); err != nil {
			text = err.Error()
		}
		if text != "" && text != complaint {
			log.Error(message, slog.String("err", text))
		}
		complaint = text
	}
}
