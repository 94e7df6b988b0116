// Package journal keeps records in a file that survives the death of its process at
// any instant. Whoever notes a record waits for no disk.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// maxPending bounds what waits to be written, while a disk is stuck, in bytes.
const maxPending = 4 << 20

// Journal is the log of a set: its records, in order, make the set. A nil Journal
// keeps nothing. It is safe for concurrent use.
type Journal struct {
	path  string
	what  string
	log   *slog.Logger
	wake  chan struct{} // has room for one
	turn  chan struct{} // is held by the Run that writes; has room for one
	aside bool          // the file is not ours: it is moved aside first

	mu      sync.Mutex
	pending []byte // guarded by mu, as is lost
	lost    int    // records that did not fit pending
}

// Open returns the journal in the file at path, which need not be there. what says in a
// word what it is of. It checks that the file can be read, and leaves its records to
// Load. A file of something else is logged and no error.
func Open(path, what string, log *slog.Logger) (*Journal, error) {
	j := &Journal{path: path, what: what, log: log, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil {
		return nil, pathError("open", dir, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	switch err := checkMagic(path, what); {
	case errors.Is(err, errForeign):
		j.aside = true
		log.Error("a file is not ours and will be moved aside", slog.String("file", path))
	case err != nil:
		return nil, pathError("read", path, err)
	}
	return j, nil
}

// Load gives load each record of the file; load keeps nothing of it. It is called
// before Run, if at all. A file that is damaged is logged, and so is one that can't be
// read any more, which is moved aside.
func (j *Journal) Load(load func(record []byte)) {
	if j.aside {
		return
	}
	damaged, err := readRecords(j.path, j.what, load)
	switch {
	case err != nil:
		j.aside = true
		j.log.Error("a file can't be read and will be moved aside", slog.String("file", j.path), slog.Any("err", err))
	case damaged > 0:
		j.log.Warn("a file is damaged in part", slog.String("file", j.path), slog.Int("bytes", damaged))
	}
}

// Path returns where the file is.
func (j *Journal) Path() string { return j.path }

// Note has a record, of at most MaxRecord bytes, written soon. It keeps nothing of
// it.
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
	default: // whoever is awake takes all
	}
}

// take returns what is to be written, and how many records were lost.
func (j *Journal) take() (pending []byte, lost int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	pending, lost = j.pending, j.lost
	j.pending, j.lost = nil, 0
	return pending, lost
}
