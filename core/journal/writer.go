package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	// syncEvery is how often what was written is forced to the disk. A process that
	// is killed loses nothing that was written, a machine that loses its power does.
	syncEvery = time.Second
	// retryEvery is how often a file that could not be written is tried again.
	retryEvery = 10 * time.Second
	// leastRewrite is the size in bytes below which a file is not written anew.
	leastRewrite = 1 << 20
)

// Run writes the journal until ctx ends. The file is written anew at its beginning,
// and again when it has grown to twice of that, from what all returns: everything
// that matters still. tick is called once a second, so that it can note what
// changes too often for a note each time. After a reload the Run of the new file
// waits for that of the old one to end.
func (j *Journal) Run(ctx context.Context, all iter.Seq[[]byte], tick func()) {
	if j == nil {
		return
	}
	if !j.begin(ctx) {
		return
	}
	defer func() { <-j.turn }()
	w := writer{Journal: j, all: all}
	defer w.close()
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	complaint := ""
	for retry := time.Now(); ; {
		if now := time.Now(); !now.Before(retry) {
			if err := w.write(); err != nil {
				w.close()
				retry = now.Add(retryEvery)
				if text := err.Error(); text != complaint {
					j.log.Error("a file is not written", slog.String("file", j.path), slog.String("err", text))
					complaint = text
				}
			} else if complaint != "" {
				j.log.Info("a file is written again", slog.String("file", j.path))
				complaint = ""
			}
		}
		select {
		case <-ctx.Done():
			tick()
			if err := w.write(); err != nil {
				j.log.Error("a file is not complete", slog.String("file", j.path), slog.Any("err", err))
			}
			return
		case <-j.wake:
		case <-ticker.C:
			tick()
			w.sync()
		}
	}
}

// begin waits for the turn to write; it reports false if ctx ends before.
func (j *Journal) begin(ctx context.Context) bool {
	select {
	case j.turn <- struct{}{}:
		return true // even if ctx has ended: there may be something to write
	default:
	}
	select {
	case j.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// writer is the file of a journal while Run has it.
type writer struct {
	*Journal
	all    iter.Seq[[]byte]
	lock   *os.File
	file   *os.File
	size   int64 // of file
	first  int64 // its size when it was written anew
	synced bool
}

// write writes what is pending. It opens the file if need be.
func (w *writer) write() error {
	if w.file == nil || w.size > max(leastRewrite, 2*w.first) {
		if err := w.renew(); err != nil {
			return err
		}
	}
	pending, lost := w.take()
	if lost > 0 {
		w.log.Error("too much to write: some records are lost", slog.String("file", w.path), slog.Int("records", lost))
	}
	if len(pending) == 0 {
		return nil
	}
	n, err := w.file.Write(pending)
	w.size += int64(n)
	w.synced = false
	return err
}

// renew writes all that matters into a new file and puts it in the place of the
// old one, which is whole up to then.
func (w *writer) renew() error {
	if w.lock == nil {
		lock, err := lockFile(w.path + ".lock")
		if err != nil {
			return err
		}
		w.lock = lock
	}
	if w.aside {
		to := fmt.Sprintf("%s.corrupt-%d", w.path, time.Now().Unix())
		if err := os.Rename(w.path, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		w.aside = false
	}
	w.take() // all has what is pending
	temp, err := os.OpenFile(w.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := writeAll(temp, w.what, w.all)
	if err == nil {
		err = os.Rename(w.path+".new", w.path)
	}
	if err != nil {
		temp.Close()
		return err
	}
	if w.file != nil {
		w.file.Close()
	}
	w.file, w.size, w.first, w.synced = temp, size, size, true
	return syncFolder(filepath.Dir(w.path))
}

// writeAll writes a file of all records, down to the disk.
func writeAll(f *os.File, what string, all iter.Seq[[]byte]) (size int64, err error) {
	b := bufio.NewWriterSize(f, 64<<10)
	n, _ := b.WriteString(magic(what)) // Flush tells what failed
	size = int64(n)
	var record []byte
	for r := range all {
		record = appendRecord(record[:0], r)
		_, _ = b.Write(record)
		size += int64(len(record))
	}
	if err := b.Flush(); err != nil {
		return 0, err
	}
	return size, f.Sync()
}

// sync forces what was written to the disk.
func (w *writer) sync() {
	if w.file == nil || w.synced {
		return
	}
	if err := w.file.Sync(); err != nil {
		w.log.Error("a file is not on the disk", slog.String("file", w.path), slog.Any("err", err))
	}
	w.synced = true
}

// close closes the file, so that the next write begins it anew, and lets others
// have it.
func (w *writer) close() {
	if w.file != nil {
		w.sync()
		w.file.Close()
		w.file = nil
	}
	if w.lock != nil {
		w.lock.Close()
		w.lock = nil
	}
}

// syncFolder makes a renamed file's new name last.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // not every system can
	return nil
}
