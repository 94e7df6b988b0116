package journal

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestJournalForeign opens large files that are no journal, or hardly: their records are
// read in bounded memory, the log says what is wrong, and nothing is lost.
func TestJournalForeign(t *testing.T) {
	head := magic(what) + string(appendRecord(nil, record(1)))
	for _, tc := range []struct {
		name, head string
		size       int64
		want       int
		log        string
	}{
		{"foreign", "something else", 300 << 20, 0, "is no test file of umbra; it will be moved aside"},
		{"foreign of zeros", "", 300 << 20, 0, "the file has another type"},
		{"too large", head, maxFile + 1, 0, "the file is larger than 256 MiB"},
		{"damaged", head, 100 << 20, 1, "partly damaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "replay")
			if err := os.WriteFile(path, []byte(tc.head), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, tc.size); err != nil { // sparse
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, log := newLog()
			j, had := open(t, e, path)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
				t.Errorf("reading took %d bytes of memory", got)
			}
			if len(had) != tc.want || !strings.Contains(log.String(), tc.log) || !strings.Contains(log.String(), path) {
				t.Errorf("got %d records, log %q, want %d, %q", len(had), log, tc.want, tc.log)
			}
			run(t, j, slices.Values(had), func() {})()
			aside, _ := filepath.Glob(path + ".corrupt-*")
			if moved := strings.Contains(log.String(), "moved aside"); (len(aside) == 1) != moved {
				t.Errorf("moved aside: %q, want one: %t", aside, moved)
			}
		})
	}
}

// TestJournalRecordsAcrossReads reads records that lie across the ends of buffers, with
// garbage between them.
func TestJournalRecordsAcrossReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	data := []byte(magic(what))
	const records = 60
	for n := range records {
		data = append(data, strings.Repeat(mark[:1], n*97)...)
		data = appendRecord(data, []byte(strings.Repeat("x", n*MaxRecord/records)))
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	e, log := newLog()
	_, had := open(t, e, path)
	if len(had) != records || !strings.Contains(log.String(), "partly damaged") {
		t.Errorf("got %d records, log %q, want %d", len(had), log, records)
	}
}
