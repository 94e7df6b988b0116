package journal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestJournalFull writes to a full disk: the error names the journal, not a file beside it
// that the user does not know.
func TestJournalFull(t *testing.T) {
	full := func(t *testing.T) *os.File {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("no /dev/full: ", err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	path := filepath.Join(t.TempDir(), "replay")
	want := "write " + path + ": no space left on device"
	check := func(t *testing.T, got string) {
		t.Helper()
		if !strings.Contains(got, want) || strings.Contains(got, ".new") || strings.Contains(got, "/dev/full") {
			t.Errorf("got %q, want %q and no other file", got, want)
		}
	}
	t.Run("rewrite", func(t *testing.T) {
		full(t)
		if err := os.Symlink("/dev/full", path+".new"); err != nil {
			t.Fatal(err)
		}
		e, log := newLog()
		j, _ := open(t, e, path)
		if works, late := j.Writes(); !works || !late.IsZero() {
			t.Errorf("before the first write: got %v, late since %v", works, late)
		}
		run(t, j, slices.Values([][]byte{record(1)}), func() {})()
		check(t, log.String())
		if works, late := j.Writes(); works || late.IsZero() {
			t.Errorf("a full disk: got %v, late since %v", works, late)
		}
	})
	t.Run("append", func(t *testing.T) {
		e, _ := newLog()
		j, _ := open(t, e, path)
		j.Note(record(1))
		w := writer{Journal: j, file: full(t)}
		err := w.write()
		if err == nil {
			t.Fatal("got no error of a full disk")
		}
		check(t, err.Error())
	})
	t.Run("lock", func(t *testing.T) {
		dir := t.TempDir()
		at := filepath.Join(dir, "replay")
		if err := os.Mkdir(at+".lock", 0o700); err != nil { // what can't be opened
			t.Fatal(err)
		}
		e, log := newLog()
		j, _ := open(t, e, at)
		run(t, j, slices.Values([][]byte{record(1)}), func() {})()
		if got := log.String(); !strings.Contains(got, "lock "+at+": ") || strings.Contains(got, ".lock") {
			t.Errorf("got %q, want an error that names %s alone", got, at)
		}
	})
}
