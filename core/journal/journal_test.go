package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// newLog returns a logger and its output.
func newLog() (*slog.Logger, *strings.Builder) {
	text := new(strings.Builder)
	return slog.New(slog.NewTextHandler(text, nil)), text
}

func record(n int) []byte { return fmt.Appendf(nil, "record %d", n) }

// what is the type of the journals of the tests.
const what = "test"

// open opens the journal at path, and returns its records.
func open(t testing.TB, log *slog.Logger, path string) (*Journal, [][]byte) {
	t.Helper()
	var had [][]byte
	j, err := Open(path, what, log)
	if err != nil {
		t.Fatal(err)
	}
	j.Load(func(r []byte) { had = append(had, bytes.Clone(r)) })
	return j, had
}

// run writes a journal until stop is called.
func run(t testing.TB, j *Journal, all iter.Seq[[]byte], tick func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.Run(ctx, all, tick)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func nothing(func([]byte) bool) {}

// set is the set that a journal records.
type set struct {
	mu  sync.Mutex
	has [][]byte
}

func (s *set) add(j *Journal, r []byte) {
	s.mu.Lock()
	s.has = append(s.has, r)
	s.mu.Unlock()
	j.Note(r)
}

func (s *set) all(yield func([]byte) bool) {
	s.mu.Lock()
	has := slices.Clone(s.has)
	s.mu.Unlock()
	slices.Values(has)(yield)
}

// TestJournal writes records and reads them in a new process: those that the set had at
// the beginning, then those that were noted, the last one at the end.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, log := newLog()
	j, had := open(t, e, path)
	if len(had) > 0 {
		t.Fatalf("got %d records of no file", len(had))
	}
	s := &set{has: [][]byte{record(1), record(2)}}
	stop := run(t, j, s.all, func() { s.add(j, record(9)) })
	for n := 3; n < 9; n++ {
		s.add(j, record(n))
	}
	stop()
	e, _ = newLog()
	_, had = open(t, e, path)
	for n := 1; n <= 9; n++ {
		if !slices.ContainsFunc(had, func(r []byte) bool { return bytes.Equal(r, record(n)) }) {
			t.Errorf("record %d is missing", n)
		}
	}
	if log.Len() > 0 {
		t.Errorf("got the log %s", log)
	}
}

// TestJournalDamaged reads files damaged by a crash, a disk or a mistake: valid records
// are loaded, and opening succeeds.
func TestJournalDamaged(t *testing.T) {
	good := []byte(magic(what))
	for n := range 10 {
		good = appendRecord(good, record(n))
	}
	onDisk := len(appendRecord(nil, record(0)))
	flipped := bytes.Clone(good)
	flipped[len(magic(what))+3*onDisk+headSize] ^= 1
	for _, tc := range []struct {
		name string
		data []byte
		want int
		log  string
	}{
		{"empty", nil, 0, ""},
		{"magic alone", good[:len(magic(what))], 0, ""},
		{"whole", good, 10, ""},
		{"torn", good[:len(good)-1], 9, "partly damaged"},
		{"torn after one byte", good[:len(magic(what))+1], 0, "partly damaged"},
		{"flipped", flipped, 9, "bytes=16"},
		{"zeros", append(bytes.Clone(good), make([]byte, 100*onDisk)...), 10, "partly damaged"},
		{"cut magic", good[:5], 0, "moved aside"},
		{"something else", []byte("[pipeline.server]\n"), 0, "moved aside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "replay")
			if err := os.WriteFile(path, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			e, log := newLog()
			j, had := open(t, e, path)
			if len(had) != tc.want || (tc.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), tc.log) {
				t.Errorf("got %d records, log %q, want %d, %q", len(had), log, tc.want, tc.log)
			}
			run(t, j, slices.Values(had), func() {})()
			e, log = newLog()
			if _, again := open(t, e, path); len(again) != tc.want || log.Len() > 0 {
				t.Errorf("rewritten: got %d records, log %q, want %d and none", len(again), log, tc.want)
			}
			aside, _ := filepath.Glob(path + ".corrupt-*")
			if foreign := strings.Contains(tc.log, "aside"); (len(aside) == 1) != foreign {
				t.Errorf("moved aside: %q, want one: %t", aside, foreign)
			} else if foreign {
				if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, tc.data) {
					t.Errorf("what was moved aside has changed, or %v", err)
				}
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	log, text := newLog()
	for name, path := range map[string]string{
		"folder": dir, "in no folder": filepath.Join(dir, "none", "x"), "below a file": filepath.Join("journal_test.go", "x"),
	} {
		if j, err := Open(path, what, log); j != nil || err == nil {
			t.Errorf("%s: got %v, %v, want an error", name, j, err)
		}
	}
	if j, err := Open(filepath.Join(dir, "a"), what, log); err != nil || j.Path() != filepath.Join(dir, "a") {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 || text.Len() > 0 {
		t.Errorf("opening wrote %q, and the log %s", left, text)
	}
	var none *Journal
	none.Note(nil)
	none.Run(t.Context(), nothing, nil)
}

// TestJournalInUse opens two journals of one file: the second one logs an error and does
// not write.
func TestJournalInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, _ := newLog()
	first, _ := open(t, e, path)
	stop := run(t, first, slices.Values([][]byte{record(1)}), func() {})
	await(t, func() bool { _, err := os.Stat(path); return err == nil })
	e, log := newLog()
	second, _ := open(t, e, path)
	run(t, second, slices.Values([][]byte{record(2)}), func() {})()
	if !strings.Contains(log.String(), "is in use") {
		t.Errorf("got log %q, want that the file is in use", log)
	}
	stop()
	e, _ = newLog()
	if _, had := open(t, e, path); len(had) != 1 || !bytes.Equal(had[0], record(1)) {
		t.Errorf("got %v, want the first one's record alone", had)
	}
}

// TestJournalTakesOver starts the Run of a reloaded file before that of the old one ends: no
// record is lost.
func TestJournalTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, log := newLog()
	j, _ := open(t, e, path)
	s := &set{has: [][]byte{record(1)}}
	old := run(t, j, s.all, func() {})
	next := run(t, j, s.all, func() {})
	s.add(j, record(2))
	old()
	s.add(j, record(3))
	next()
	e, _ = newLog()
	_, had := open(t, e, path)
	for n := 1; n <= 3; n++ {
		if !slices.ContainsFunc(had, func(r []byte) bool { return bytes.Equal(r, record(n)) }) || log.Len() > 0 {
			t.Errorf("got %v and log %q, want record %d among them", had, log, n)
		}
	}
}

// TestJournalRewrites lets the file grow until it is rewritten: its size stays proportional
// to the records that matter.
func TestJournalRewrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, log := newLog()
	j, _ := open(t, e, path)
	stop := run(t, j, slices.Values([][]byte{record(1)}), func() {})
	const each = 5000
	for round := range 5 * leastRewrite / (each * len(appendRecord(nil, record(0)))) {
		for n := range each {
			j.Note(record(n))
		}
		await(t, func() bool { j.mu.Lock(); defer j.mu.Unlock(); return len(j.pending) == 0 })
		if info, err := os.Stat(path); err == nil && info.Size() > 2*leastRewrite {
			t.Fatalf("round %d: the file has %d bytes", round, info.Size())
		}
	}
	stop()
	if log.Len() > 0 {
		t.Errorf("got the log %s", log)
	}
}

// TestJournalBounded notes more records than are queued while the disk is stuck.
func TestJournalBounded(t *testing.T) {
	e, _ := newLog()
	j, _ := open(t, e, filepath.Join(t.TempDir(), "replay"))
	fit := maxPending / len(appendRecord(nil, record(0)))
	for range fit + 7 {
		j.Note(record(0))
	}
	j.Note(make([]byte, MaxRecord+1))
	if len(j.pending) > maxPending || j.lost != 8 {
		t.Errorf("got %d bytes and %d lost, want at most %d and 8", len(j.pending), j.lost, maxPending)
	}
}

// await waits until a condition that another goroutine causes is true.
func await(t testing.TB, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not happen in 20 s")
		}
	}
}

// FuzzJournal reads arbitrary bytes: every byte belongs to a record or counts as damaged, and
// the records can be written and read again.
func FuzzJournal(f *testing.F) {
	good := appendRecord(appendRecord([]byte(magic(what)), record(1)), nil)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(good, mark+mark+mark...))
	f.Add([]byte("something else"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		size := len(magic(what))
		damaged, err := readRecords(path, what, func(r []byte) {
			again, n := parseRecord(appendRecord(nil, r))
			if size += n; !bytes.Equal(again, r) {
				t.Errorf("got %q again for %q", again, r)
			}
		})
		switch {
		case err != nil && !errors.Is(err, errForeign):
			t.Error(err)
		case err == nil && len(data) > 0 && size+damaged != len(data):
			t.Errorf("got %d bytes of records and %d damaged, want %d", size, damaged, len(data))
		}
	})
}
