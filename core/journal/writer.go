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
	// syncEvery is the interval between syncs to the disk. If the process is killed,
	// written records survive; after a power failure the last ones are lost.
	syncEvery = time.Second
	// retryEvery is the interval between attempts to write after an error.
	retryEvery = 10 * time.Second
	// leastRewrite is the size in bytes below which a file is not rewritten.
	leastRewrite = 1 << 20
)

// Run writes the journal until ctx ends. It rewrites the file when it starts, and again
// when the file has doubled in size; all returns every record that still matters. tick
// is called once a second, so that it can note values that change too often for a
// record per change. After a reload the Run of the new Journal waits until that of the
// old one has ended.
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
			j.late.CompareAndSwap(0, now.UnixNano())
			err := w.write()
			if j.failing.Store(err != nil); err == nil {
				j.late.Store(0)
			}
			if err != nil {
				w.close()
				retry = now.Add(retryEvery)
				if text := err.Error(); text != complaint {
					j.log.Error("journal file can't be written", slog.String("file", j.path), slog.String("err", text))
					complaint = text
				}
			} else if complaint != "" {
				j.log.Info("journal file can be written again", slog.String("file", j.path))
				complaint = ""
			}
		}
		select {
		case <-ctx.Done():
			tick()
			if err := w.write(); err != nil {
				j.log.Error("journal file is incomplete", slog.String("file", j.path), slog.Any("err", err))
			}
			return
		case <-j.wake:
		case <-ticker.C:
			tick()
			w.sync()
		}
	}
}

// begin waits until no other Run writes. It returns false if ctx ends first.
func (j *Journal) begin(ctx context.Context) bool {
	select {
	case j.turn <- struct{}{}:
		return true // even if ctx has ended: records may be queued
	default:
	}
	select {
	case j.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// writer is the state of the file during Run.
type writer struct {
	*Journal
	all    iter.Seq[[]byte]
	lock   *os.File
	file   *os.File
	size   int64 // of file
	first  int64 // size after the last rewrite
	synced bool
}

// write writes the queued records. It opens the file if necessary.
func (w *writer) write() error {
	if w.file == nil || w.size > max(leastRewrite, 2*w.first) {
		if err := w.renew(); err != nil {
			return err
		}
	}
	pending, lost := w.takePending()
	if lost > 0 {
		w.log.Error("journal queue is full: records are lost", slog.String("file", w.path), slog.Int("records", lost))
	}
	if len(pending) == 0 {
		return nil
	}
	n, err := w.file.Write(pending)
	w.size += int64(n)
	w.synced = false
	if err != nil {
		return pathError("write", w.path, err) // err names the file that was renamed
	}
	return nil
}

// renew writes all records that matter to a new file, and replaces the old file by it.
// The old file stays intact until then.
func (w *writer) renew() error {
	if w.lock == nil {
		lock, err := lockFile(w.path)
		if err != nil {
			return err
		}
		w.lock = lock
	}
	if w.aside {
		to := fmt.Sprintf("%s.corrupt-%d", w.path, time.Now().Unix())
		if err := os.Rename(w.path, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return pathError("move aside", w.path, err)
		}
		w.aside = false
	}
	w.takePending() // all includes the queued records
	temp, err := os.OpenFile(w.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return pathError("write", w.path, err)
	}
	size, err := writeAll(temp, w.what, w.all)
	if err == nil {
		err = os.Rename(w.path+".new", w.path)
	}
	if err != nil {
		temp.Close()
		return pathError("write", w.path, err)
	}
	if w.file != nil {
		w.file.Close()
	}
	w.file, w.size, w.first, w.synced = temp, size, size, true
	if err := syncFolder(filepath.Dir(w.path)); err != nil {
		return pathError("write", w.path, err)
	}
	return nil
}

// writeAll writes a file with all records and syncs it.
func writeAll(f *os.File, what string, all iter.Seq[[]byte]) (size int64, err error) {
	b := bufio.NewWriterSize(f, 64<<10)
	n, _ := b.WriteString(magic(what)) // Flush returns the error
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

// sync syncs written records to the disk.
func (w *writer) sync() {
	if w.file == nil || w.synced {
		return
	}
	if err := w.file.Sync(); err != nil {
		w.log.Error("journal file can't be synced to the disk", slog.String("file", w.path), slog.Any("err", pathError("sync", w.path, err)))
	}
	w.synced = true
}

// close closes the file, so that the next write rewrites it, and releases the lock.
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

// syncFolder makes a rename in the folder at path durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // some systems can't sync a folder
	return nil
}
