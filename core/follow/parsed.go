package follow

import (
	"io"
	"sync"
	"time"
	"weak"
)

// Files shares what is made of files among the components of a process, also among those
// of an old and a new configuration: a file is read, parsed and followed once, and its
// content is in memory once. What no component uses is dropped. The zero Files is ready.
type Files struct {
	mu  sync.Mutex
	all map[string]func() any // guarded by mu; each returns nil once its value is gone
}

// share returns the value with a key that is in use, or the one that build makes.
func share[T any](f *Files, key string, build func() *T) *T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if find := f.all[key]; find != nil {
		if v, ok := find().(*T); ok {
			return v
		}
	}
	for old, find := range f.all {
		if find() == nil {
			delete(f.all, old)
		}
	}
	if f.all == nil {
		f.all = map[string]func() any{}
	}
	v := build()
	f.all[key] = finder(v)
	return v
}

// Parsed is what a parser made of a file, for one component. Components that open the same
// file for the same purpose share its content. A Parsed is not safe for concurrent use;
// its value is shared, so nobody may change it.
type Parsed[T any] struct {
	source *source[T]
	seen   *version[T] // the last one that Changed reported, which may have an error
	value  T
}

// source is a file that is followed, with its last content.
type source[T any] struct {
	parse func(io.Reader, T) (T, error)

	mu      sync.Mutex
	file    *File // guarded by mu, as all that follows
	last    *version[T]
	valid   *version[T] // the last one without an error
	checked time.Time   // time of the last check
	failed  error       // its error
}

// version is one content of a file.
type version[T any] struct {
	value T
	err   error // of the parser
	told  bool  // a Parsed has reported the version; guarded by source.mu, as is made

	made   map[string]func() any // what Derive made of the value; each returns nil once that is gone
	before map[string]func() any // what Derive made of the valid version before
}

// Open returns what parse makes of the file at path, of at most limit bytes. The purpose
// stands for parse: where both are the same, the result is shared. Open reads the file
// unless the content in memory is current. parse also gets what it made of the last valid
// content, or the zero T, from which it may take what is equal. Errors are those of File.Read.
func Open[T any](f *Files, path, purpose string, limit int64, parse func(r io.Reader, before T) (T, error)) (*Parsed[T], error) {
	s := share(f, purpose+"\x00"+path, func() *source[T] { return &source[T]{parse: parse, file: New(path, limit)} })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.file.Differs() {
		if err := s.read(); err != nil {
			return nil, err
		}
	}
	s.last.told = true
	if s.last.err != nil {
		return nil, s.last.err
	}
	return &Parsed[T]{s, s.last, s.last.value}, nil
}

// Path returns the path of the file.
func (p *Parsed[T]) Path() string { return p.source.file.Path() }

// Value returns the last content that was parsed without an error.
func (p *Parsed[T]) Value() T { return p.value }

// Change is what Changed found.
type Change uint8

// The changes.
const (
	Unchanged Change = iota
	Changed          // there is a new value
	First            // the same, and no other Parsed of the process has reported it yet
)

// Derive returns what build makes of the value of p. Where the value and the purpose are the
// same, the result is shared as long as somebody uses it, so nobody may change it. build also
// gets what was made of the value before, if somebody uses that, or nil: it may take what is
// equal from it.
func Derive[T, D any](p *Parsed[T], purpose string, build func(value T, before *D) (*D, error)) (*D, error) {
	p.source.mu.Lock()
	defer p.source.mu.Unlock()
	v := p.seen
	if made := found[D](v.made, purpose); made != nil {
		return made, nil
	}
	made, err := build(p.value, found[D](v.before, purpose))
	if err != nil {
		return nil, err
	}
	v.made[purpose] = finder(made)
	return made, nil
}

// found returns what one of the finders of made finds, or nil.
func found[D any](made map[string]func() any, purpose string) *D {
	if find := made[purpose]; find != nil {
		if d, ok := find().(*D); ok {
			return d
		}
	}
	return nil
}

// finder returns a function that returns v while v is in use, and nil afterwards.
func finder[T any](v *T) func() any {
	held := weak.Make(v)
	return func() any {
		if v := held.Value(); v != nil {
			return v
		}
		return nil
	}
}

// Changed checks the file, and takes over its content if that has changed; see
// File.Changed. It returns an error of reading the file with each call, and an error of the
// parser once. Calls of several components within an interval check the file once.
func (p *Parsed[T]) Changed() (Change, error) {
	s := p.source
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check()
	switch {
	case s.failed != nil:
		return Unchanged, s.failed
	case s.last == nil || s.last == p.seen:
		return Unchanged, nil
	}
	p.seen = s.last
	if s.last.err != nil {
		return Unchanged, s.last.err
	}
	p.value = s.last.value
	if s.last.told {
		return Changed, nil
	}
	s.last.told = true
	return First, nil
}

// check reads the file if it has changed. mu is held.
func (s *source[T]) check() {
	if now := time.Now(); now.Sub(s.checked) < every*3/4 {
		return
	} else {
		s.checked = now
	}
	changed, err := s.file.Changed()
	if err == nil && changed {
		err = s.read()
	}
	s.failed = err
}

// read reads the file. It returns the error of reading; the version has that of the
// parser. mu is held.
func (s *source[T]) read() error {
	next, parsed := &version[T]{made: map[string]func() any{}}, false
	var before T
	if s.valid != nil {
		before, next.before = s.valid.value, s.valid.made
	}
	err := s.file.Read(func(r io.Reader) error {
		next.value, next.err = s.parse(r, before)
		if parsed = true; next.err != nil {
			next.value = *new(T) // what the parser had until then
		}
		return next.err
	})
	if err != nil && (!parsed || err != next.err) {
		return err
	}
	if s.last, s.failed = next, nil; next.err == nil {
		s.valid = next
	}
	return nil
}
