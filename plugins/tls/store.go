package tls

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is the least time between two looks at the files. A look is a few
// stat calls, made by one handshake for all others.
const checkEvery = time.Second

// store keeps the newest good material and reads the files again when they
// change. It has no goroutine: a handshake looks.
type store struct {
	load  func() (*material, error)
	files []string
	log   *slog.Logger
	now   func() time.Time
	start time.Time

	current atomic.Pointer[material]
	due     atomic.Int64 // time.Duration since start at which to look again

	mu     sync.Mutex
	seen   []os.FileInfo // guarded by mu; the files as last loaded or tried, nil for a missing one
	failed bool          // guarded by mu; the last try failed
}

func newStore(load func() (*material, error), files []string, log *slog.Logger, now func() time.Time) (*store, error) {
	s := &store{load: load, files: files, log: log, now: now, start: now()}
	s.seen = stat(files)
	m, err := load()
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	s.due.Store(int64(checkEvery))
	return s, nil
}

// get returns what to use for a handshake now.
func (s *store) get() *material {
	if since := s.now().Sub(s.start); int64(since) >= s.due.Load() && s.mu.TryLock() {
		s.look()
		s.due.Store(int64(since + checkEvery))
		s.mu.Unlock()
	}
	return s.current.Load()
}

// look loads the files if they have changed. Files that don't fit together are
// tried again at each look, silently after the first time: a certificate may
// have been written and its key not yet, or within one tick of the file
// system's clock, which leaves no trace in a stat.
func (s *store) look() {
	// The stat comes before the reading: a change in between shows next time.
	files := stat(s.files)
	changed := !slices.EqualFunc(files, s.seen, sameFile)
	if !changed && !s.failed {
		return
	}
	s.seen = files
	m, err := s.load()
	if err != nil {
		if changed {
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "changed certificate files are bad, keeping the old ones", slog.Any("err", err))
		}
		s.failed = true
		return
	}
	s.failed = false
	s.current.Store(m)
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "certificate files read again", slog.Any("files", s.files))
}

// stat returns what is known of each file, nil for one that can't be reached.
func stat(files []string) []os.FileInfo {
	infos := make([]os.FileInfo, len(files))
	for i, f := range files {
		if info, err := os.Stat(f); err == nil {
			infos[i] = info
		}
	}
	return infos
}

// sameFile reports whether a and b are one file, unchanged.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
