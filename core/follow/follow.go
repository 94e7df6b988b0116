// Package follow supports components that read a file again when it changes: it
// decides when to check the file, distinguishes a new version from the old one, and
// reports errors.
//
// A component with a goroutine calls Watch and File.Changed: changes are found without
// traffic, and only when the file has not changed between two checks. A component
// without a goroutine uses a Value, which checks the files when it is used.
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

	"github.com/umbra-proxy/umbra/core/textfile"
)

// every is the interval between checks of a file. A change is read at the second check
// that finds the same content, because a file that is written in place is empty for a
// moment. A change takes effect within a second.
const every = 250 * time.Millisecond

// settled is the time after its last change from which a file's modification time
// distinguishes it from newer versions. Some file systems have a resolution of two
// seconds.
const settled = 2 * time.Second

// File is a file that is checked for changes. It is not safe for concurrent use.
type File struct {
	path  string
	limit int64
	seed  maphash.Seed
	info  fs.FileInfo // of the last Read; nil before the first
	read  time.Time   // time of the last Read
	sum   uint64      // hash of the content
	other *uint64     // the hash at the last check, if it differed from sum
	lost  bool        // the last Read failed to read the file
}

// New returns the file at path, of at most limit bytes. It does not read the file.
func New(path string, limit int64) *File {
	return &File{path: path, limit: limit, seed: maphash.MakeSeed()}
}

// Path returns the path of the file.
func (f *File) Path() string { return f.path }

// Info returns the file's metadata at the last Read.
func (f *File) Info() fs.FileInfo { return f.info }

// Read calls parse with the text of the file, as textfile.Reader returns it. Errors of
// reading name the file; errors of parse are returned unchanged. A file that parse rejects
// counts as read.
func (f *File) Read(parse func(io.Reader) error) error {
	next, err := f.open(parse)
	if next != nil {
		f.info, f.read, f.sum, f.other = next.info, next.read, next.sum, nil
	}
	f.lost = next == nil
	return err
}

// Differs reports whether Read would have a different result now: the content differs,
// the file became unreadable, or it became readable. Unlike Changed it does not wait
// for two equal checks, so the next Read may find a half-written file.
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

// Changed reports whether the content differs from that of the last Read and is the
// same as at the previous call. It reads the file where the modification time does not
// suffice. It returns an error if the file can't be read.
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

// isCurrent reports whether the file's metadata proves that its content is that of the
// last Read.
func (f *File) isCurrent() bool {
	if f.info == nil {
		return false
	}
	info, err := os.Stat(f.path)
	return err == nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() &&
		info.ModTime().Equal(f.info.ModTime()) && f.read.Sub(info.ModTime()) > settled
}

// open reads the file to its end, up to limit, and returns its metadata and hash. It
// returns nil if reading failed. If parse failed, it returns the file and the error of
// parse.
func (f *File) open(parse func(io.Reader) error) (*File, error) {
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", f.path) // opening a pipe could block forever
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
	refused := parse(textfile.NewReader(f.path, in))
	_, _ = io.Copy(io.Discard, in) // in records the error
	switch {
	case in.err != nil:
		return nil, f.failed(in.err)
	case in.n > f.limit:
		return nil, f.tooLong()
	}
	next.sum = sum.Sum64()
	return next, refused
}

func (f *File) tooLong() error { return textfile.TooLong(f.path, f.limit) }

func (f *File) failed(err error) error { return textfile.Failed(f.path, err) }

// reader counts the bytes read and records an error.
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

// Watch calls check four times a second until ctx ends. It logs an error of check with
// message, and not again while the text of the error stays the same.
func Watch(ctx context.Context, log *slog.Logger, message string, check func() error) {
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
		if err := check(); err != nil {
			text = err.Error()
		}
		if text != "" && text != complaint {
			log.Error(message, slog.String("err", text))
		}
		complaint = text
	}
}
