package replay

import (
	"context"
	"encoding/binary"
	"iter"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/journal"
)

// File is the key of a [cipher.x] table whose server refuses replays after a restart
// too. Embed it in the method's own options.
type File struct {
	ReplayFile string `toml:"replay_file" help:"a file that remembers over a restart what was received, so that no recording is good after one"`
}

// A Record is something received that is remembered over a restart.
type Record struct {
	Kind  byte
	Until time.Time // the last instant at which it matters, in whole seconds; the zero Time for always
	Data  []byte    // at most MaxSalt bytes
}

// appendTo appends r to b:
//
//	+------+---------------+----------+
//	| kind |     until     |   data   |
//	|  1B  | 8B be, Unix s | variable |
//	+------+---------------+----------+
func (r Record) appendTo(b []byte) []byte {
	var until int64
	if !r.Until.IsZero() {
		until = r.Until.Unix()
	}
	b = binary.BigEndian.AppendUint64(append(b, r.Kind), uint64(until))
	return append(b, r.Data...)
}

// parseRecord is the inverse. It reports false for what is none. Data is in b.
func parseRecord(b []byte) (Record, bool) {
	const size = 1 + 8
	if len(b) < size || len(b) > size+MaxSalt {
		return Record{}, false
	}
	r := Record{Kind: b[0], Data: b[size:]}
	if s := binary.BigEndian.Uint64(b[1:]); s != 0 {
		r.Until = time.Unix(int64(s), 0)
	}
	return r, true
}

// Journal keeps in a file what was received. A nil Journal keeps nothing. It is safe
// for concurrent use once its table is served.
type Journal struct{ file *journal.Journal }

// journals are those that a component has had, by their paths: one that a reload comes
// back to may still be written for the connections of an older file.
type journals map[string]*journal.Journal

// OpenJournal returns the journal that o asks for, or nil. It changes nothing. Once the
// table is served, what the file has is given to load, unless the component has it
// since before a reload; so a component calls it after it has asked to keep what load
// needs. A file that is damaged is no reason not to start. Its errors name the key to
// mend.
func OpenJournal(env core.Env, o File, load func(Record)) (j *Journal, err error) {
	if o.ReplayFile == "" {
		return nil, nil
	}
	file, err := journal.Open(o.ReplayFile, "replay", env.Log)
	if err != nil {
		return nil, &core.OptionError{Key: "replay_file", Err: err}
	}
	j = &Journal{file}
	core.Keep(env, func(old *journals) *journals {
		if old == nil {
			old = &journals{}
		}
		if known := (*old)[o.ReplayFile]; known != nil {
			j.file = known
			return old
		}
		(*old)[o.ReplayFile] = file
		file.Load(func(b []byte) {
			if r, ok := parseRecord(b); ok {
				load(r)
			}
		})
		return old
	})
	return j, nil
}

// Note has r written soon. It keeps nothing of r.
func (j *Journal) Note(r Record) {
	if j != nil {
		var b [1 + 8 + MaxSalt]byte
		j.file.Note(r.appendTo(b[:0]))
	}
}

// Run writes the journal until ctx ends; see journal.Journal.Run. all returns
// everything that matters still.
func (j *Journal) Run(ctx context.Context, all iter.Seq[Record], tick func()) {
	if j == nil {
		return
	}
	j.file.Run(ctx, func(yield func([]byte) bool) {
		var b []byte
		for r := range all {
			if b = r.appendTo(b[:0]); !yield(b) {
				return
			}
		}
	}, tick)
}
