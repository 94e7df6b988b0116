package follow

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Differs compares the content of the file and whether it can be read.
func TestDiffers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	old := time.Now().Add(-time.Hour)
	put := func(text string) {
		t.Helper()
		write(t, path, text)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	f := New(path, 10)
	read := func() { _ = f.Read(func(io.Reader) error { return nil }) }
	differs := func(step string, want bool) {
		t.Helper()
		if got := f.Differs(); got != want {
			t.Errorf("%s: got %t, want %t", step, got, want)
		}
	}
	differs("never read", true)
	read()
	differs("read", false)
	old = old.Add(time.Minute)
	put("one")
	differs("another time, the same bytes", false)
	put("three")
	differs("another size", true)
	differs("another size, still not read", true)
	read()
	differs("another size, read", false)
	write(t, path, "other")
	differs("another time, the same size", true)
	read()
	write(t, path, "ether")
	differs("written just after it was read, of the same size", true)
	read()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	differs("removed", true)
	read()
	differs("removed, and read", false)
	write(t, path, "longer than ten")
	differs("too long", false)
	write(t, path, "ether")
	differs("back with the same bytes", true)
	read()
	differs("back, and read", false)
}

// pair is a Value of two files that match if they have the same text.
type pair struct {
	*Value[string]
	t       *testing.T
	paths   []string
	reports []string
}

func newPair(t *testing.T, paths []string) *pair {
	t.Helper()
	p := &pair{t: t, paths: paths}
	v, err := NewValue(Source[string]{
		Paths: p.paths, Limit: 10, Every: time.Second, Now: time.Now,
		Make: func(read func(string) ([]byte, error)) (string, error) {
			first, err := read(p.paths[0])
			if err != nil {
				return "", err
			}
			second, err := read(p.paths[1])
			if err != nil {
				return "", err
			}
			if string(first) != string(second) {
				return "", errors.New(string(first) + " does not fit " + string(second))
			}
			return string(first), nil
		},
		Reloaded: func(err error) {
			text := "changed"
			if err != nil {
				text = err.Error()
			}
			p.reports = append(p.reports, text)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Value = v
	return p
}

// after checks the value at some times after a step, and the reports since the last check.
func (p *pair) after(step string, value string, reports ...string) {
	p.t.Helper()
	for range 3 {
		time.Sleep(time.Second)
		if got := p.Get(); got != value {
			p.t.Errorf("%s: got %q, want %q", step, got, value)
		}
	}
	if !slices.EqualFunc(p.reports, reports, strings.Contains) {
		p.t.Errorf("%s: got reports %q, want %q", step, p.reports, reports)
	}
	p.reports = nil
}

// The last valid value stays in use, and each change is reported once.
func TestValue(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	put := func(text string, which ...int) {
		for _, i := range which {
			write(t, paths[i], text)
		}
	}
	put("one", 0, 1)
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, paths)
		p.after("at first", "one")
		put("two", 0, 1)
		if got := p.Get(); got != "one" {
			t.Errorf("within the time between two looks: got %q, want one", got)
		}
		p.after("both", "two", "changed")
		put("six", 0)
		p.after("the first one alone", "two", "six does not fit two")
		put("six", 1)
		p.after("the second one too", "six", "changed")
		put("", 0)
		p.after("empty", "six", " does not fit six")
		put("two", 0)
		p.after("bad in another way", "six", "two does not fit six")
		if err := os.Remove(paths[0]); err != nil {
			t.Fatal(err)
		}
		p.after("removed", "six", "a: no such file")
		put("ten", 1)
		p.after("the other one changed meanwhile", "six", "a: no such file")
		put("ten", 0)
		p.after("back", "ten", "changed")
	})
}

func TestNewValueFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	v, err := NewValue(Source[[]byte]{
		Paths: []string{path}, Limit: 10, Every: time.Second, Now: time.Now,
		Make: func(read func(string) ([]byte, error)) ([]byte, error) { return read(path) },
	})
	if v != nil || err == nil || err.Error() != "read "+path+": no such file or directory" {
		t.Errorf("got %v, %v, want that there is no such file", v, err)
	}
}

// Concurrent callers get values whose files match.
func TestValueConcurrent(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	write(t, paths[0], "0")
	write(t, paths[1], "0")
	p := newPair(t, paths)
	p.source.Every = 0
	p.due.Store(0)
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 200 {
				if got := p.Get(); got < "0" || got > "9" {
					t.Errorf("got %q, want a digit", got)
				}
			}
		})
	}
	for i := range 10 {
		for _, path := range paths { // at once: a file that is being written may be empty
			write(t, path+".new", string(rune('0'+i)))
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	callers.Wait()
	if got := p.Get(); got != "9" {
		t.Errorf("at the end: got %q, want 9", got)
	}
}
