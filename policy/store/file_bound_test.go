package store

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFileBounded opens a file with more entries than are kept: memory is bounded, and the
// log says what was left out.
func TestFileBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans")
	f, err := OpenFile(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	f.loaded = true
	for n := range maxEntries + 7 {
		key := fmt.Sprint(n)
		f.entries[key] = Entry{Key: key, Value: []byte{1}, At: now, Until: now.Add(time.Hour)}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.Run(ctx) // writes all before it ends
	var log strings.Builder
	again, err := OpenFile(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := again.Load(t.Context(), "", func(Entry) { n++ }); err != nil {
		t.Fatal(err)
	}
	if n != maxEntries || !strings.Contains(log.String(), "records_left_out=7") {
		t.Errorf("got %d entries, log %q, want %d and 7 left out", n, log.String(), maxEntries)
	}
}
