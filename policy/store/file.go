package store

import (
	"context"
	"encoding/binary"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core/journal"
)

// File is a Store in a file of this machine, for one process. The file stays
// consistent however the process dies: see package journal.
type File struct {
	journal *journal.Journal
	log     *slog.Logger

	mu      sync.Mutex
	loaded  bool // the file has been read; guarded by mu, as all that follows
	entries map[string]Entry
	swept   time.Time
}

var _ Store = (*File)(nil)

const (
	// sweepEvery is the interval between removals of expired entries from memory.
	sweepEvery = time.Minute
	// maxEntries bounds the memory: beyond it a new entry replaces an arbitrary one.
	maxEntries = 1 << 18
)

// OpenFile returns the store in the file at path, which need not exist. OpenFile
// checks that the file is readable; the first use reads it. Damage in the file is
// logged and is not an error.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	j, err := journal.Open(path, "store", log)
	if err != nil {
		return nil, err
	}
	return &File{journal: j, log: log, entries: map[string]Entry{}}, nil
}

// lock locks mu, and reads the file if it has not been read yet.
func (f *File) lock() {
	f.mu.Lock()
	if f.loaded {
		return
	}
	f.loaded = true
	left := 0
	f.journal.Load(func(record []byte) {
		// Expired entries are kept until the whole file is read: an expired entry
		// may have replaced an older one that has not expired.
		e, ok := parseEntry(record)
		if !ok {
			return
		}
		old, known := f.entries[e.Key]
		if !known && len(f.entries) >= maxEntries {
			left++
		} else if e.Newer(old) {
			f.entries[e.Key] = e
		}
	})
	if left > 0 {
		f.log.Warn("store file has more entries than are kept", slog.String("file", f.journal.Path()), slog.Int("kept", maxEntries), slog.Int("records_left_out", left))
	}
	f.sweep(time.Now())
}

// appendEntry appends the encoding of an entry on disk to b:
//
//	+--------+--------+----------+----------+----------+
//	|   at   | until  | key size |   key    |  value   |
//	| 8B, ns | 8B, ns |    2B    | variable | variable |
//	+--------+--------+----------+----------+----------+
func appendEntry(b []byte, e Entry) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Until.UnixNano()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Key)))
	return append(append(b, e.Key...), e.Value...)
}

// recordHead is the size of the fields before the key, in bytes.
const recordHead = 8 + 8 + 2

func entrySize(e Entry) int { return recordHead + len(e.Key) + len(e.Value) }

// parseEntry is the inverse of appendEntry. It returns false if b is not a valid
// entry. The Entry shares no memory with b.
func parseEntry(b []byte) (Entry, bool) {
	if len(b) < recordHead {
		return Entry{}, false
	}
	key := b[recordHead:]
	size := int(binary.BigEndian.Uint16(b[recordHead-2:]))
	if len(key) < size {
		return Entry{}, false
	}
	e := Entry{
		Key: string(key[:size]), Value: append([]byte(nil), key[size:]...),
		At: time.Unix(0, int64(binary.BigEndian.Uint64(b))), Until: time.Unix(0, int64(binary.BigEndian.Uint64(b[8:]))),
	}
	return e, e.check() == nil
}

// Put stores an entry.
func (f *File) Put(_ context.Context, e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	f.lock()
	defer f.mu.Unlock()
	f.put(e, time.Now())
	return nil
}

// put stores an entry, if it is newer than the stored one. mu is held.
func (f *File) put(e Entry, now time.Time) {
	f.sweep(now)
	old, known := f.entries[e.Key]
	if e.expired(now) || known && !old.expired(now) && !e.Newer(old) {
		return
	}
	if !known && len(f.entries) >= maxEntries {
		for key := range f.entries {
			delete(f.entries, key)
			break
		}
	}
	f.entries[e.Key] = e
	f.journal.Note(appendEntry(make([]byte, 0, entrySize(e)), e))
}

// sweep removes expired entries, at most once every sweepEvery. mu is held.
func (f *File) sweep(now time.Time) {
	if now.Sub(f.swept) < sweepEvery {
		return
	}
	f.swept = now
	for key, e := range f.entries {
		if e.expired(now) {
			delete(f.entries, key)
		}
	}
}

// Load calls each with the entries under prefix.
func (f *File) Load(_ context.Context, prefix string, each func(Entry)) error {
	for e := range f.all() {
		if strings.HasPrefix(e.Key, prefix) {
			each(e)
		}
	}
	return nil
}

// all iterates over a snapshot of the entries.
func (f *File) all() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		now := time.Now()
		f.lock()
		list := make([]Entry, 0, len(f.entries))
		for _, e := range f.entries {
			if !e.expired(now) {
				list = append(list, e)
			}
		}
		f.mu.Unlock()
		for _, e := range list {
			if !yield(e) {
				return
			}
		}
	}
}

// Watch only waits until ctx ends: no other process changes the file.
func (f *File) Watch(ctx context.Context, _ string, ready func(), _ func(Entry)) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}

// Claim reserves a key.
func (f *File) Claim(_ context.Context, key string, until time.Time) (bool, error) {
	now := time.Now()
	e := Entry{Key: key, Value: []byte{1}, At: now, Until: until}
	if err := e.check(); err != nil {
		return false, err
	}
	f.lock()
	defer f.mu.Unlock()
	if old, taken := f.entries[key]; taken && !old.expired(now) {
		return false, nil
	}
	f.put(e, now)
	return true, nil
}

// Run writes the file until ctx ends.
func (f *File) Run(ctx context.Context) {
	f.lock() // reads the file before the journal rewrites it
	f.mu.Unlock()
	f.journal.Run(ctx, func(yield func([]byte) bool) {
		var b []byte
		for e := range f.all() {
			if b = appendEntry(b[:0], e); !yield(b) {
				return
			}
		}
	}, func() {})
}

// Health implements Healthy.
func (f *File) Health() (up bool, late time.Time) { return f.journal.Writes() }

// Close does nothing: Run closes the file.
func (*File) Close() error { return nil }
