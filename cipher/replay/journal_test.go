package replay

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

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

// TestOpenJournal opens journals as constructors do: a reload keeps the open journal, an empty
// option opens none, and errors name the option.
func TestOpenJournal(t *testing.T) {
	dir := t.TempDir()
	env := core.Env{Section: core.SectionCipher, Name: "x", Process: new(core.Process), Log: slog.New(slog.DiscardHandler)}
	open := func(path string) *Journal {
		t.Helper()
		j, err := OpenJournal(env, File{path}, func(Record) { t.Error("a record of no file") })
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	none := open("")
	none.Note(Record{})
	none.Run(t.Context(), nil, nil)
	a := open(filepath.Join(dir, "a"))
	if none != nil || a == nil || open(filepath.Join(dir, "a")).file != a.file || open(filepath.Join(dir, "b")).file == a.file {
		t.Error("want no journal, one for each file, and the same one after a reload")
	}
	_, err := OpenJournal(env, File{dir}, nil)
	if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != "replay_file" {
		t.Errorf("a folder: got %v, want an error for replay_file", err)
	}
}

func TestRecord(t *testing.T) {
	for _, r := range []Record{
		{}, {Kind: 1, Data: make([]byte, MaxSalt)}, {Kind: 255, Until: time.Unix(1<<40, 0), Data: []byte("salt")},
	} {
		got, ok := parseRecord(r.appendTo(nil))
		if !ok || got.Kind != r.Kind || !got.Until.Equal(r.Until) || !bytes.Equal(got.Data, r.Data) {
			t.Errorf("got %v, %t, want %v", got, ok, r)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 8), make([]byte, 9+MaxSalt+1)} {
		if r, ok := parseRecord(b); ok {
			t.Errorf("%d bytes: got %v, want none", len(b), r)
		}
	}
}
