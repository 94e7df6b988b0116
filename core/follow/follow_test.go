package follow

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// text returns the content of a file.
func text(t *testing.T, f *File) string {
	t.Helper()
	var b []byte
	err := f.Read(func(r io.Reader) (err error) { b, err = io.ReadAll(r); return err })
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func changed(t *testing.T, f *File, step string, want bool) {
	t.Helper()
	if got, err := f.Changed(); got != want || err != nil {
		t.Errorf("%s: got changed %t, %v, want %t", step, got, err, want)
	}
}

// The content of a file determines whether it has changed, not its time.
func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	f := New(path, 10)
	changed(t, f, "never read", true)
	if got := text(t, f); got != "one" {
		t.Fatalf("got %q, want one", got)
	}
	changed(t, f, "read", false)
	write(t, path, "two") // with the same size, and perhaps the same time
	changed(t, f, "other bytes", false)
	changed(t, f, "other bytes still", true)
	changed(t, f, "other bytes, still not read", true)
	write(t, path, "")
	changed(t, f, "being written", false)
	write(t, path, "three")
	changed(t, f, "written", false)
	changed(t, f, "written, and so still", true)
	refuse := errors.New("refused")
	if err := f.Read(func(io.Reader) error { return refuse }); !errors.Is(err, refuse) {
		t.Errorf("got %v, want the reader's error", err)
	}
	changed(t, f, "refused", false)
	write(t, path, "one")
	changed(t, f, "as before the refused one", false)
	changed(t, f, "as before the refused one still", true)
	text(t, f)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Changed(); got || err == nil {
		t.Errorf("gone: got %t, %v, want an error", got, err)
	}
	write(t, path, "one")
	changed(t, f, "another file with the same bytes", false)
}

// An unchanged file is not read again once its modification time suffices.
func TestIsCurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	at := func(ago time.Duration) {
		t.Helper()
		then := time.Now().Add(-ago)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	at(time.Hour)
	f := New(path, 10)
	text(t, f)
	if !f.isCurrent() {
		t.Error("an old file: got changed, want current")
	}
	at(2 * time.Hour)
	if f.isCurrent() {
		t.Error("another time: got current, want changed")
	}
	changed(t, f, "another time", false)
	if !f.isCurrent() {
		t.Error("another time, after a check: got changed, want current")
	}
	at(time.Millisecond)
	text(t, f)
	if f.isCurrent() {
		t.Error("a file that was changed a moment before: got current, want another check")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if f.isCurrent() {
		t.Error("a file that is gone: got current, want changed")
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	write(t, long, "eleven byte")
	for _, tc := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none"), "read " + filepath.Join(dir, "none") + ": no such file or directory"},
		{"folder", dir, dir + " is not a file"},
		{"long", long, long + " has more than 10 bytes: is this the right file?"},
	} {
		err := New(tc.path, 10).Read(func(io.Reader) error { return nil })
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	if got := text(t, New(long, 11)); got != "eleven byte" {
		t.Errorf("just as long as it may be: got %q", got)
	}
}

// An error is logged once as long as its text stays the same.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		texts := []string{"", "bad", "bad", "worse", "bad", "", "bad", "bad"}
		done := make(chan struct{})
		checks := 0
		go func() {
			defer close(done)
			Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)), "stays", func() error {
				checks++
				if texts[checks-1] == "" {
					return nil
				}
				return errors.New(texts[checks-1])
			})
		}()
		time.Sleep(2*time.Second + time.Millisecond)
		cancel()
		<-done
		if checks != len(texts) {
			t.Errorf("got %d checks in 2 s, want %d", checks, len(texts))
		}
		if n := strings.Count(log.String(), "msg=stays err="); n != 4 {
			t.Errorf("got %d lines, want 4:\n%s", n, log.String())
		}
	})
}
