package replay

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

	"github.com/umbra-proxy/umbra/core"
)

// env returns that of a component, and its log.
func env() (core.Env, *strings.Builder) {
	log := new(strings.Builder)
	return core.Env{Section: core.SectionCipher, Name: "x", Process: new(core.Process), Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func record(n int) Record {
	return Record{Kind: byte(n), Until: time.Unix(int64(n), 0), Data: fmt.Appendf(nil, "record %d", n)}
}

// open opens the journal at path, and returns what it had.
func open(t testing.TB, e core.Env, path string) (*Journal, []Record) {
	t.Helper()
	var had []Record
	j, err := OpenJournal(e, File{path}, func(r Record) {
		r.Data = bytes.Clone(r.Data)
		had = append(had, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, had
}

// run writes a journal until stop is called.
func run(t testing.TB, j *Journal, all iter.Seq[Record], tick func()) (stop func()) {
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

func nothing(func(Record) bool) {}

// set is what a journal is of.
type set struct {
	mu  sync.Mutex
	has []Record
}

func (s *set) add(j *Journal, r Record) {
	s.mu.Lock()
	s.has = append(s.has, r)
	s.mu.Unlock()
	j.Note(r)
}

func (s *set) all(yield func(Record) bool) {
	s.mu.Lock()
	has := slices.Clone(s.has)
	s.mu.Unlock()
	slices.Values(has)(yield)
}

func same(a, b Record) bool {
	return a.Kind == b.Kind && a.Until.Equal(b.Until) && bytes.Equal(a.Data, b.Data)
}

// TestJournal writes records, and reads them in another process's life: those that
// the set had at the beginning, then those that were noted, the last at the end.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, log := env()
	j, had := open(t, e, path)
	if len(had) > 0 {
		t.Fatalf("got %d records of no file", len(had))
	}
	s := &set{has: []Record{record(1), record(2)}}
	stop := run(t, j, s.all, func() { s.add(j, record(9)) })
	for n := 3; n < 9; n++ {
		s.add(j, record(n))
	}
	stop()
	e, _ = env()
	_, had = open(t, e, path)
	for n := 1; n <= 9; n++ {
		if !slices.ContainsFunc(had, func(r Record) bool { return same(r, record(n)) }) {
			t.Errorf("record %d is missing", n)
		}
	}
	if log.Len() > 0 {
		t.Errorf("got the log %s", log)
	}
}

// TestJournalDamaged reads files that a crash, a disk or a mistake has spoiled:
// what is good in them counts, and the service starts.
func TestJournalDamaged(t *testing.T) {
	good := []byte(magic)
	for n := range 10 {
		good = appendRecord(good, record(n))
	}
	flipped := bytes.Clone(good)
	flipped[len(magic)+3*recordSize+20] ^= 1
	for _, tc := range []struct {
		name string
		data []byte
		want int
		log  string
	}{
		{"empty", nil, 0, ""},
		{"magic alone", good[:len(magic)], 0, ""},
		{"whole", good, 10, ""},
		{"torn", good[:len(good)-1], 9, "damaged in part"},
		{"torn after one byte", good[:len(magic)+1], 0, "damaged in part"},
		{"flipped", flipped, 9, "records=1"},
		{"zeros", append(bytes.Clone(good), make([]byte, 100*recordSize)...), 10, "damaged in part"},
		{"cut magic", good[:5], 0, "moved aside"},
		{"something else", []byte("[pipeline.server]\n"), 0, "moved aside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "replay")
			if err := os.WriteFile(path, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			e, log := env()
			j, had := open(t, e, path)
			if len(had) != tc.want || (tc.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), tc.log) {
				t.Errorf("got %d records, log %q, want %d, %q", len(had), log, tc.want, tc.log)
			}
			run(t, j, slices.Values(had), func() {})()
			e, log = env()
			if _, again := open(t, e, path); len(again) != tc.want || log.Len() > 0 {
				t.Errorf("written anew: got %d records, log %q, want %d and none", len(again), log, tc.want)
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

func TestOpenJournal(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"folder": dir, "in no folder": filepath.Join(dir, "none", "replay"), "below a file": filepath.Join("journal_test.go", "replay"),
	} {
		e, _ := env()
		_, err := OpenJournal(e, File{path}, func(Record) {})
		if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != "replay_file" {
			t.Errorf("%s: got %v, want an error for replay_file", name, err)
		}
	}
	e, _ := env()
	if j, err := OpenJournal(e, File{}, nil); j != nil || err != nil {
		t.Errorf("none: got %v, %v", j, err)
	}
	var none *Journal
	none.Note(Record{})
	none.Run(t.Context(), nothing, nil)
	a, _ := open(t, e, filepath.Join(dir, "a"))
	if again, had := open(t, e, filepath.Join(dir, "a")); again != a || had != nil {
		t.Error("a reload made another journal")
	}
	if b, _ := open(t, e, filepath.Join(dir, "b")); b == a {
		t.Error("another file has the same journal")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("opening wrote %q", left)
	}
}

// TestJournalInUse has two journals of one file: the second one says so and writes
// nothing.
func TestJournalInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, _ := env()
	first, _ := open(t, e, path)
	stop := run(t, first, slices.Values([]Record{record(1)}), func() {})
	await(t, func() bool { _, err := os.Stat(path); return err == nil })
	e, log := env()
	second, _ := open(t, e, path)
	run(t, second, slices.Values([]Record{record(2)}), func() {})()
	if !strings.Contains(log.String(), "is in use") {
		t.Errorf("got log %q, want that the file is in use", log)
	}
	stop()
	e, _ = env()
	if _, had := open(t, e, path); len(had) != 1 || !same(had[0], record(1)) {
		t.Errorf("got %v, want the first one's record alone", had)
	}
}

// TestJournalTakesOver has the Run of a reloaded file begin before that of the old
// one ends: nothing is lost between.
func TestJournalTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, log := env()
	j, _ := open(t, e, path)
	s := &set{has: []Record{record(1)}}
	old := run(t, j, s.all, func() {})
	next := run(t, j, s.all, func() {})
	s.add(j, record(2))
	old()
	s.add(j, record(3))
	next()
	e, _ = env()
	_, had := open(t, e, path)
	for n := 1; n <= 3; n++ {
		if !slices.ContainsFunc(had, func(r Record) bool { return same(r, record(n)) }) || log.Len() > 0 {
			t.Errorf("got %v and log %q, want record %d among them", had, log, n)
		}
	}
}

// TestJournalRewrites has the file grow until it is written anew: it stays in
// proportion to what matters.
func TestJournalRewrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	e, log := env()
	j, _ := open(t, e, path)
	stop := run(t, j, slices.Values([]Record{record(1)}), func() {})
	const each = 1000
	for round := range 5 * leastRewrite / (each * recordSize) {
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

// TestJournalBounded notes more than a stuck disk may keep in memory.
func TestJournalBounded(t *testing.T) {
	e, _ := env()
	j, _ := open(t, e, filepath.Join(t.TempDir(), "replay"))
	for n := range maxPending + 7 {
		j.Note(record(n % 100))
	}
	if len(j.pending) != maxPending*recordSize || j.lost != 7 {
		t.Errorf("got %d bytes and %d lost, want %d and 7", len(j.pending), j.lost, maxPending*recordSize)
	}
}

// await waits for what another goroutine does.
func await(t testing.TB, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not happen in 20 s")
		}
	}
}

// FuzzJournal reads arbitrary bytes: no record is longer than a salt, and what is
// read can be written and read again.
func FuzzJournal(f *testing.F) {
	good := appendRecord([]byte(magic), record(1))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("something else"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "replay")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readRecords(path, func(r Record) {
			if len(r.Data) > MaxSalt {
				t.Errorf("got a record of %d bytes", len(r.Data))
			}
			again, ok := parseRecord(appendRecord(nil, r))
			if !ok || !same(again, r) {
				t.Errorf("got %v again for %v", again, r)
			}
		})
		if err != nil && !errors.Is(err, errForeign) {
			t.Error(err)
		}
	})
}

func TestWindowAt(t *testing.T) {
	for _, highest := range []uint64{0, 1, 63, 64, 65, 5000, 1<<64 - 2} {
		w := NewWindowAt(2048, highest)
		for _, back := range []uint64{0, 1, 63, 64, 2047, 2048} {
			if back <= highest && !w.Has(highest-back) {
				t.Errorf("highest %d: %d back is new", highest, back)
			}
		}
		if w.Has(highest+1) || !w.Add(highest+1) || w.Add(highest+1) || w.Highest() != highest+1 {
			t.Errorf("highest %d: the next is not new once", highest)
		}
	}
}

// TestAll fills sets and copies them through records.
func TestAll(t *testing.T) {
	salts, copied := NewSalts(10), NewSalts(10)
	for n := range 25 {
		salts.Add([]byte{byte(n)})
	}
	for r := range salts.All(1) {
		copied.Add(r.Data)
	}
	if copied.Len() != salts.Len() {
		t.Errorf("got %d salts, want %d", copied.Len(), salts.Len())
	}
	now := time.Now()
	timed, other := NewTimed(time.Minute), NewTimed(time.Minute)
	for n := range 25 {
		timed.Add([]byte{byte(n)}, now.Add(30*time.Second), now.Add(time.Duration(n)*time.Second))
	}
	for r := range timed.All(1) {
		other.Add(r.Data, r.Until, now)
	}
	for n := range 25 {
		if other.Add([]byte{byte(n)}, now, now) {
			t.Errorf("salt %d was forgotten", n)
		}
	}
	for range timed.All(1) {
		break
	}
	for range salts.All(1) {
		break
	}
}
