package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// A file is a line that says what it is of, and then records:
//
//	+-------+--------+----------+----------+
//	| A5 5A |  size  | checksum |   data   |
//	|  2B   | 2B be  | 4B CRC-C | variable |
//	+-------+--------+----------+----------+
//
// The checksum is of the size and the data. What a crash or a disk has spoiled fails
// it; reading goes on where the next good record begins.
const (
	mark     = "\xA5\x5A"
	sizeAt   = len(mark)
	sumAt    = sizeAt + 2
	headSize = sumAt + crc32.Size
)

// MaxRecord is the longest record in bytes.
const MaxRecord = 4 << 10

// maxFile is the largest file that is read, in bytes.
const maxFile = 256 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// magic returns the first line of a file of what.
func magic(what string) string { return "umbra " + what + " 1\r\n" }

// appendRecord appends the form of a record on disk to b.
func appendRecord(b, data []byte) []byte {
	at := len(b)
	b = append(b, mark...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	b = append(b, 0, 0, 0, 0)
	b = append(b, data...)
	binary.BigEndian.PutUint32(b[at+sumAt:], checksum(b[at:]))
	return b
}

func checksum(record []byte) uint32 {
	sum := crc32.Checksum(record[sizeAt:sumAt], castagnoli)
	return crc32.Update(sum, castagnoli, record[headSize:])
}

// parseRecord returns the data of the record that b begins with, and its size on
// disk; 0 if there is no good one.
func parseRecord(b []byte) (data []byte, size int) {
	if len(b) < headSize || string(b[:sizeAt]) != mark {
		return nil, 0
	}
	size = headSize + int(binary.BigEndian.Uint16(b[sizeAt:]))
	if size > headSize+MaxRecord || size > len(b) || binary.BigEndian.Uint32(b[sumAt:]) != checksum(b[:size]) {
		return nil, 0
	}
	return b[headSize:size], size
}

// errForeign says that a file is no journal of this kind.
var errForeign = errors.New("it holds something else")

// checkMagic returns errForeign if the file at path is of something else, and why it
// can't be read. A file that is not there or empty is fine.
func checkMagic(path, what string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	first := make([]byte, len(magic(what)))
	n, err := io.ReadFull(f, first)
	switch {
	case err == io.EOF:
		return nil
	case err != nil && err != io.ErrUnexpectedEOF:
		return err
	case string(first[:n]) != magic(what):
		return errForeign
	}
	return nil
}

// readRecords gives each good record of the file at path to load, in order. A file
// that is not there is empty. It returns how many bytes belonged to none.
func readRecords(path, what string, load func([]byte)) (damaged int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return 0, err
	}
	data, ours := bytes.CutPrefix(data, []byte(magic(what)))
	if !ours && len(data) > 0 {
		return 0, errForeign
	}
	for len(data) > 0 {
		record, size := parseRecord(data)
		if size == 0 {
			size = 1 // look for the next one
			if next := bytes.Index(data[1:], []byte(mark)); next > 0 {
				size += next
			} else if next < 0 {
				size = len(data)
			}
			damaged += size
		} else {
			load(record)
		}
		data = data[size:]
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
