// Package journal keeps records in a file that survives the death of its process at
// any instant. Adding a record never waits for the disk.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// maxPending bounds the bytes queued for writing while a disk is stuck.
const maxPending = 4 << 20

// Journal is the log of a set: the set is the result of its records, in order. A nil
// Journal discards all records. It is safe for concurrent use.
type Journal struct {
	path  string
	what  string
	log   *slog.Logger
	wake  chan struct{} // capacity 1; a full channel means that a wake-up is pending
	turn  chan struct{} // capacity 1; a semaphore held by the Run that writes
	aside bool          // the file has another type and is moved aside first

	late    atomic.Int64 // when the write began that is not done yet, in Unix ns; 0 while nothing waits
	failing atomic.Bool  // the last write failed

	mu      sync.Mutex
	pending []byte // guarded by mu, as is lost; encoded records to be written
	lost    int    // number of records that did not fit pending
}

// Open opens the journal in the file at path, which may be missing. what is one word for
// the type of the file. Open checks that the file can be read, and leaves its records to
// Load. A file of another type, or one too large for a journal, is not read: it is logged,
// and moved aside before the journal is written.
func Open(path, what string, log *slog.Logger) (*Journal, error) {
	j := &Journal{path: path, what: what, log: log, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil {
		return nil, pathError("open", dir, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	switch err := checkMagic(path, what); {
	case errors.Is(err, errForeign), errors.Is(err, errLarge):
		j.aside = true
		log.Error("file is not read, because it is no "+what+" file of umbra; it will be moved aside", slog.String("file", path), slog.Any("err", err))
	case err != nil:
		return nil, pathError("read", path, err)
	}
	return j, nil
}

// Load calls load with each record of the file; load must not keep the record. Load must
// be called before Run, if at all. A damaged file is logged. So is a file that can no
// longer be read, which is moved aside.
func (j *Journal) Load(load func(record []byte)) {
	if j.aside {
		return
	}
	damaged, err := readRecords(j.path, j.what, load)
	switch {
	case err != nil:
		j.aside = true
		j.log.Error("journal file can't be read and will be moved aside", slog.String("file", j.path), slog.Any("err", err))
	case damaged > 0:
		j.log.Warn("journal file is partly damaged", slog.String("file", j.path), slog.Int("bytes", damaged))
	}
}

// Path returns the path of the file.
func (j *Journal) Path() string { return j.path }

// Note queues a record of at most MaxRecord bytes for writing. It keeps no part of
// record.
func (j *Journal) Note(record []byte) {
	if j == nil {
		return
	}
	j.mu.Lock()
	if len(j.pending)+headSize+len(record) <= maxPending && len(record) <= MaxRecord {
		j.pending = appendRecord(j.pending, record)
	} else {
		j.lost++
	}
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default: // the pending wake-up covers this record
	}
}

// Writes reports whether the last write to the file worked, and since when it has not taken
// what it was given: the zero Time if it has.
func (j *Journal) Writes() (works bool, late time.Time) {
	if at := j.late.Load(); at != 0 {
		late = time.Unix(0, at)
	}
	return !j.failing.Load(), late
}

// takePending removes and returns the queued records and the number of lost records.
func (j *Journal) takePending() (pending []byte, lost int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	pending, lost = j.pending, j.lost
	j.pending, j.lost = nil, 0
	return pending, lost
}
