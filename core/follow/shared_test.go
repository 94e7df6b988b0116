package follow_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/follow"
)

// sharedValue opens a shared value of o's file, which is refused if it begins with "!".
func (o *opener) sharedValue(purpose string) (*follow.Value[*string], error) {
	return follow.SharedValue(&o.files, purpose, follow.Source[*string]{
		Paths: []string{o.path}, Limit: 100, Every: time.Hour, Now: time.Now,
		Make: func(read func(string) ([]byte, error)) (*string, error) {
			o.parsed++
			b, err := read(o.path)
			if err != nil {
				return nil, err
			}
			if text := string(b); text[0] != '!' {
				return &text, nil
			}
			return nil, errRefused
		},
		Reloaded: func(error) {},
	})
}

// A value of one purpose is made once while it is in use, and is current when it is opened.
func TestSharedValue(t *testing.T) {
	o := newOpener(t, "one")
	open := func(purpose string) *follow.Value[*string] {
		t.Helper()
		v, err := o.sharedValue(purpose)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := open("hosts")
	if second := open("hosts"); second != first || o.parsed != 1 {
		t.Errorf("two of a purpose: made %d times, want one value, made once", o.parsed)
	}
	if other := open("other"); other == first || o.parsed != 2 {
		t.Errorf("another purpose: made %d times, want 2", o.parsed)
	}
	o.save(t, "changed")
	if v := open("hosts"); v != first || *v.Get() != "changed" {
		t.Errorf("after a change: got %q, want %q in the same value", *v.Get(), "changed")
	}
	o.save(t, "!")
	for range 2 { // a later open must not take the refused file for read
		if _, err := o.sharedValue("hosts"); !errors.Is(err, errRefused) {
			t.Errorf("a file that is refused: got %v, want %v", err, errRefused)
		}
	}
	if err := os.Remove(o.path); err != nil {
		t.Fatal(err)
	}
	if _, err := o.sharedValue("hosts"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: got %v, want %v", err, os.ErrNotExist)
	}
	if got := *first.Get(); got != "changed" {
		t.Errorf("the value in use: got %q, want the last good one", got)
	}
}
