package follow

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Source configures a Value.
type Source[T any] struct {
	Paths []string         // the files, in any order; duplicates are allowed
	Limit int64            // maximum size of each file in bytes
	Every time.Duration    // minimum interval between checks of the files
	Now   func() time.Time // the clock, with monotonic readings

	// Make builds a value from the files. read returns the content of one of Paths, or
	// the error of reading it, which contains the path.
	Make func(read func(path string) ([]byte, error)) (T, error)

	// Reloaded is called after the files were read again: with nil if the new value is
	// in use, otherwise with the error of Make. It is called once per change.
	Reloaded func(err error)
}

// Value is built from one or more files, such as a certificate and its key. It is the
// last value that Make returned without an error. It has no goroutine: Get checks the
// files. It is safe for concurrent use.
type Value[T any] struct {
	source  Source[T]
	start   time.Time
	due     atomic.Int64 // time.Duration since start of the next check
	current atomic.Pointer[T]

	mu     sync.Mutex
	files  []*File // guarded by mu, as is failed
	failed bool    // the last read made no value
}

// NewValue builds the first value. The error is that of Make.
func NewValue[T any](s Source[T]) (*Value[T], error) {
	v := prepare(s)
	if err := v.read(); err != nil {
		return nil, err
	}
	return v, nil
}

// prepare returns a Value that has read nothing.
func prepare[T any](s Source[T]) *Value[T] {
	v := &Value[T]{source: s, start: s.Now(), failed: true}
	for _, path := range s.Paths {
		v.files = append(v.files, New(path, s.Limit))
	}
	v.due.Store(int64(s.Every))
	return v
}

// Get returns the value. If the last check of the files is at least Every ago, Get
// checks them first; concurrent calls return the previous value.
func (v *Value[T]) Get() T {
	if since := v.source.Now().Sub(v.start); int64(since) >= v.due.Load() && v.mu.TryLock() {
		v.check(since)
	}
	return *v.current.Load()
}

// check builds a new value if a file has changed. It unlocks mu.
func (v *Value[T]) check(since time.Duration) {
	defer v.mu.Unlock()
	v.due.Store(int64(since + v.source.Every))
	differs := false
	for _, f := range v.files {
		differs = f.Differs() || differs
	}
	if differs {
		v.source.Reloaded(v.read())
	}
}

// read reads all files, then builds a value from them.
func (v *Value[T]) read() error {
	type content struct {
		data []byte
		err  error
	}
	contents := map[string]content{}
	for _, f := range v.files {
		var c content
		c.err = f.Read(func(r io.Reader) (err error) { c.data, err = io.ReadAll(r); return err })
		contents[f.Path()] = c
	}
	made, err := v.source.Make(func(path string) ([]byte, error) { return contents[path].data, contents[path].err })
	if v.failed = err != nil; !v.failed {
		v.current.Store(&made)
	}
	return err
}
