package follow

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Source describes a Value.
type Source[T any] struct {
	Paths []string         // the files; their order does not matter, and one may stand twice
	Limit int64            // bytes that each file may have
	Every time.Duration    // the least time between two looks at the files
	Now   func() time.Time // the clock, with monotonic times

	// Make makes a value of the files. read returns the bytes of one of Paths, or
	// the error of reading it, which names the file.
	Make func(read func(path string) ([]byte, error)) (T, error)

	// Tell is called after the files were read again: with nil if the new value is
	// in use, else with the error of Make. It is called once for each change of the
	// files.
	Tell func(err error)
}

// Value is what some files together make, such as a certificate and its key: the
// last that could be made. It has no goroutine: Get looks at the files. It is safe for
// concurrent use.
type Value[T any] struct {
	source  Source[T]
	start   time.Time
	due     atomic.Int64 // time.Duration since start at which to look again
	current atomic.Pointer[T]

	mu    sync.Mutex
	files []*File // guarded by mu
}

// NewValue makes the first value. Its error is that of Make.
func NewValue[T any](s Source[T]) (*Value[T], error) {
	v := &Value[T]{source: s, start: s.Now()}
	for _, path := range s.Paths {
		v.files = append(v.files, New(path, s.Limit))
	}
	v.due.Store(int64(s.Every))
	if err := v.read(); err != nil {
		return nil, err
	}
	return v, nil
}

// Get returns the value. If the last look at the files is long enough ago, it looks
// first; calls during that look get the value from before it.
func (v *Value[T]) Get() T {
	if since := v.source.Now().Sub(v.start); int64(since) >= v.due.Load() && v.mu.TryLock() {
		v.look(since)
	}
	return *v.current.Load()
}

// look makes a new value if a file has changed. It unlocks mu.
func (v *Value[T]) look(since time.Duration) {
	defer v.mu.Unlock()
	v.due.Store(int64(since + v.source.Every))
	differs := false
	for _, f := range v.files {
		differs = f.Differs() || differs
	}
	if differs {
		v.source.Tell(v.read())
	}
}

// read reads all files, then makes a value of them.
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
	if err == nil {
		v.current.Store(&made)
	}
	return err
}
