package follow_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/follow"
)

var errRefused = errors.New("refused")

// opener opens a file, and counts how often it was parsed.
type opener struct {
	files  follow.Files
	path   string
	parsed int
	before *string // what the last call of the parser was given
}

func newOpener(t *testing.T, text string) *opener {
	t.Helper()
	o := &opener{path: filepath.Join(t.TempDir(), "list")}
	o.save(t, text)
	return o
}

// save replaces the file.
func (o *opener) save(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(o.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open opens the file for a purpose. A file that begins with "!" is refused.
func (o *opener) open(purpose string) (*follow.Parsed[*string], error) {
	return follow.Open(&o.files, o.path, purpose, 100, func(r io.Reader, before *string) (*string, error) {
		o.before = before
		o.parsed++
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		text := string(b)
		if strings.HasPrefix(text, "!") {
			return nil, errRefused
		}
		return &text, nil
	})
}

func (o *opener) mustOpen(t *testing.T, purpose string) *follow.Parsed[*string] {
	t.Helper()
	p, err := o.open(purpose)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changed checks what Changed returns after the next two checks.
func changed(t *testing.T, p *follow.Parsed[*string], want follow.Change, wantErr error) {
	t.Helper()
	for n := range 3 {
		time.Sleep(time.Second)
		got, err := p.Changed()
		if got == follow.Unchanged && err == nil && n < 2 {
			continue // a change is read at the second check that finds it
		}
		if got != want || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
			t.Errorf("Changed: got %v, %v, want %v, %v", got, err, want, wantErr)
		}
		return
	}
}

// What is opened for one purpose is parsed once and the same, and for another purpose not.
func TestParsedIsShared(t *testing.T) {
	o := newOpener(t, "one")
	a, b := o.mustOpen(t, "names"), o.mustOpen(t, "names")
	if a.Value() != b.Value() || *a.Value() != "one" || o.parsed != 1 {
		t.Errorf("two of a purpose: got %q and %q, parsed %d times, want one value, parsed once", *a.Value(), *b.Value(), o.parsed)
	}
	if c := o.mustOpen(t, "users"); c.Value() == a.Value() || o.parsed != 2 {
		t.Errorf("another purpose: parsed %d times, want a value of its own", o.parsed)
	}
	runtime.KeepAlive(a)
}

// Each Parsed of a file reports a change, the first one as First.
func TestParsedChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpener(t, "one")
		a, b := o.mustOpen(t, "names"), o.mustOpen(t, "names")
		changed(t, a, follow.Unchanged, nil)
		o.save(t, "other")
		one := a.Value()
		changed(t, a, follow.First, nil)
		changed(t, b, follow.Changed, nil)
		changed(t, b, follow.Unchanged, nil)
		if o.before != one {
			t.Errorf("the parser was given %p, want the value before, %p", o.before, one)
		}
		if a.Value() != b.Value() || *a.Value() != "other" || o.parsed != 2 {
			t.Errorf("after a change: got %q and %q, parsed %d times, want one value, parsed twice", *a.Value(), *b.Value(), o.parsed)
		}
	})
}

// A file that its parser refuses is reported once to each and leaves the value as it is. It
// can't be opened.
func TestParsedRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpener(t, "one")
		a, b := o.mustOpen(t, "names"), o.mustOpen(t, "names")
		o.save(t, "!")
		changed(t, a, follow.Unchanged, errRefused)
		changed(t, b, follow.Unchanged, errRefused)
		changed(t, a, follow.Unchanged, nil)
		if *a.Value() != "one" || *b.Value() != "one" {
			t.Errorf("values: got %q and %q, want those before", *a.Value(), *b.Value())
		}
		if _, err := o.open("names"); !errors.Is(err, errRefused) {
			t.Errorf("Open: got %v, want %v", err, errRefused)
		}
		o.save(t, "mended")
		changed(t, a, follow.First, nil)
	})
}

// A file that is gone is an error with each check, and is read again when it is back.
func TestParsedGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpener(t, "one")
		a := o.mustOpen(t, "names")
		if err := os.Remove(o.path); err != nil {
			t.Fatal(err)
		}
		changed(t, a, follow.Unchanged, os.ErrNotExist)
		changed(t, a, follow.Unchanged, os.ErrNotExist)
		if _, err := o.open("names"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Open: got %v, want %v", err, os.ErrNotExist)
		}
		if *a.Value() != "one" {
			t.Errorf("value: got %q, want the one before", *a.Value())
		}
	})
}

// What is derived from a value is shared as the value is, and built anew after a change.
func TestDerive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpener(t, "one")
		built, before := 0, (*int)(nil)
		derive := func(p *follow.Parsed[*string], purpose string) *int {
			t.Helper()
			n, err := follow.Derive(p, purpose, func(text *string, last *int) (*int, error) {
				built, before = built+1, last
				n := len(*text)
				return &n, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		a, b := o.mustOpen(t, "names"), o.mustOpen(t, "names")
		first := derive(a, "length")
		if second := derive(b, "length"); second != first || *first != 3 || built != 1 {
			t.Errorf("two of a purpose: got %d and %d, built %d times, want one of 3", *first, *second, built)
		}
		if other := derive(a, "other"); other == first || built != 2 {
			t.Errorf("another purpose: built %d times, want 2", built)
		}
		o.save(t, "longer")
		changed(t, a, follow.First, nil)
		next := derive(a, "length")
		if next == first || *next != 6 || before != first {
			t.Errorf("after a change: got %d, made with %p, want 6, made with what was made before, %p", *next, before, first)
		}
		if old := derive(b, "length"); old != first { // b has not seen the change
			t.Errorf("of the value before: got another one")
		}
		_, err := follow.Derive(a, "none", func(*string, *int) (*int, error) { return nil, errRefused })
		if !errors.Is(err, errRefused) {
			t.Errorf("a build that fails: got %v, want %v", err, errRefused)
		}
		o.save(t, "!")
		changed(t, a, follow.Unchanged, errRefused)
		o.save(t, "a third")
		changed(t, a, follow.First, nil)
		if third := derive(a, "length"); *third != 7 || before != next {
			t.Errorf("after a content that was refused: got %d, made with %p, want 7, made with %p", *third, before, next)
		}
		runtime.KeepAlive(next)
	})
}

// What nobody uses any more is dropped.
func TestParsedIsDropped(t *testing.T) {
	o := newOpener(t, "one")
	o.mustOpen(t, "names")
	for range 100 {
		runtime.GC()
		o.mustOpen(t, "names")
		if o.parsed > 1 {
			return
		}
	}
	t.Error("a value that nobody uses is still shared after 100 collections")
}
