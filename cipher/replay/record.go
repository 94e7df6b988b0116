package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"time"
)

// A Record is something received that is remembered over a restart.
type Record struct {
	Kind  byte
	Until time.Time // the last instant at which it matters, in whole seconds; the zero Time for always
	Data  []byte    // at most MaxSalt bytes
}

// A journal is a file of the magic and then records of one size:
//
//	+------------+------+------+--------+---------+----------+
//	|   until    | kind | size |  data  | 2 zeros | checksum |
//	| 8B be, s   |  1B  |  1B  |  32B   |         | 4B CRC-C |
//	+------------+------+------+--------+---------+----------+
//
// One that was torn by a crash fails its checksum and is skipped.
const (
	magic      = "umbra replay 1\r\n"
	recordSize = 48
	dataAt     = 10
	sumAt      = recordSize - crc32.Size
)

// maxJournal is the largest file that is read, in bytes: above what any table of
// sets writes.
const maxJournal = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends the form of r on disk to b.
func appendRecord(b []byte, r Record) []byte {
	var at [recordSize]byte
	if !r.Until.IsZero() {
		binary.BigEndian.PutUint64(at[:], uint64(r.Until.Unix()))
	}
	at[8], at[9] = r.Kind, byte(copy(at[dataAt:dataAt+MaxSalt], r.Data))
	binary.BigEndian.PutUint32(at[sumAt:], crc32.Checksum(at[:sumAt], castagnoli))
	return append(b, at[:]...)
}

// parseRecord is the inverse. It reports false for a record that was torn or
// damaged. Data is in b.
func parseRecord(b []byte) (Record, bool) {
	size := int(b[9])
	if crc32.Checksum(b[:sumAt], castagnoli) != binary.BigEndian.Uint32(b[sumAt:]) || size > MaxSalt {
		return Record{}, false
	}
	r := Record{Kind: b[8], Data: b[dataAt : dataAt+size]}
	if s := binary.BigEndian.Uint64(b); s != 0 {
		r.Until = time.Unix(int64(s), 0)
	}
	return r, true
}

// errForeign says that a file is no journal.
var errForeign = errors.New("it holds something else")

// readRecords gives each good record of the file at path to load, in order. A file
// that is not there is empty. It returns how many were damaged.
func readRecords(path string, load func(Record)) (damaged int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJournal))
	if err != nil {
		return 0, err
	}
	data, ours := bytes.CutPrefix(data, []byte(magic))
	if !ours && len(data) > 0 {
		return 0, errForeign
	}
	for ; len(data) >= recordSize; data = data[recordSize:] {
		if r, ok := parseRecord(data); ok {
			load(r)
		} else {
			damaged++
		}
	}
	if len(data) > 0 {
		damaged++
	}
	return damaged, nil
}

// pathError says once what was done to which file.
func pathError(did, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s %s: %w", did, path, err)
}
