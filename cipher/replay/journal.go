package replay

import (
	"context"
	"encoding/binary"
	"iter"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/journal"
)

// File is the option of a [cipher.x] table for a server that refuses replays after a
// restart too. Embed it in the options of the method.
type File struct {
	ReplayFile string `toml:"replay_file" help:"a file that keeps received salts over a restart, so that recordings stay refused"`
}

// A Record is a salt or session that is remembered over a restart.
type Record struct {
	Kind  byte
	Until time.Time // the record matters until then, in whole seconds; the zero Time for always
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

// parseRecord is the inverse. It returns false for an invalid record. Data is part of b.
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

// Journal keeps Records in a file. A nil Journal discards them. It is safe for
// concurrent use once its component serves.
type Journal struct{ file *journal.Journal }

// journals are the journals that a component has opened, by path. After a reload back to
// an earlier path, connections of an older generation may still write that journal.
type journals map[string]*journal.Journal

// OpenJournal opens the journal of o, or returns nil if o has none. It changes nothing.
// Once the component serves, load is called with each record of the file, unless the
// component has had the journal open since before a reload; so a component calls
// OpenJournal after the core.Keep of the state that load needs. A damaged file is not an
// error. Errors name the option to correct.
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

// Note queues r for writing. It keeps no part of r.
func (j *Journal) Note(r Record) {
	if j != nil {
		var b [1 + 8 + MaxSalt]byte
		j.file.Note(r.appendTo(b[:0]))
	}
}

// Run writes the journal until ctx ends; see journal.Journal.Run. all returns every
// record that still matters.
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
