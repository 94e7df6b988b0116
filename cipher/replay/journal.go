package replay

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// File is the key of a [cipher.x] table whose server refuses replays after a restart
// too. Embed it in the method's own options.
type File struct {
	ReplayFile string `toml:"replay_file" help:"a file that remembers over a restart what was received, so that no recording is good after one"`
}

// maxPending bounds what waits to be written, while a disk is stuck, in records.
const maxPending = 1 << 16

// Journal keeps in a file what was received. It is written by Run, so nobody who
// notes something waits for a disk. A nil Journal keeps nothing. It is safe for
// concurrent use.
type Journal struct {
	path  string
	log   *slog.Logger
	wake  chan struct{} // has room for one
	turn  chan struct{} // is held by the Run that writes; has room for one
	aside bool          // the file is not ours, or damaged: it is moved aside first

	mu      sync.Mutex
	pending []byte // guarded by mu, as is lost
	lost    int    // records that did not fit pending
}

// OpenJournal returns the journal that o asks for, or nil. What the file has is
// given to load, unless the component has it since before a reload. A file that is
// damaged is no reason not to start. Its errors name the key to mend.
func OpenJournal(env core.Env, o File, load func(Record)) (*Journal, error) {
	return core.Keep(env, func(old *Journal) (*Journal, error) {
		switch {
		case o.ReplayFile == "":
			return nil, nil
		case old != nil && old.path == o.ReplayFile:
			return old, nil
		}
		j := &Journal{path: o.ReplayFile, log: env.Log, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
		if err := j.read(load); err != nil {
			return nil, &core.OptionError{Key: "replay_file", Err: err}
		}
		return j, nil
	})
}

// read gives load what the file has.
func (j *Journal) read(load func(Record)) error {
	dir := filepath.Dir(j.path)
	if info, err := os.Stat(dir); err != nil {
		return pathError("open", dir, err)
	} else if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if info, err := os.Stat(j.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", j.path)
	}
	damaged, err := readRecords(j.path, load)
	switch {
	case errors.Is(err, errForeign):
		j.aside = true
		j.log.Error("the replay file is not ours and will be moved aside", slog.String("file", j.path))
	case err != nil:
		return pathError("read", j.path, err)
	case damaged > 0:
		j.log.Warn("the replay file is damaged in part", slog.String("file", j.path), slog.Int("records", damaged))
	}
	return nil
}

// Note has r written soon. It keeps nothing of r.
func (j *Journal) Note(r Record) {
	if j == nil {
		return
	}
	j.mu.Lock()
	if len(j.pending) < maxPending*recordSize {
		j.pending = appendRecord(j.pending, r)
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
