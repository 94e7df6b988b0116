package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// A file is a line with its type, followed by records:
//
//	+-------+--------+----------+----------+
//	| A5 5A |  size  | checksum |   data   |
//	|  2B   | 2B be  | 4B CRC-C | variable |
//	+-------+--------+----------+----------+
//
// The checksum covers the size and the data. It detects damage by a crash or a disk;
// reading continues at the next valid record.
const (
	mark     = "\xA5\x5A"
	sizeAt   = len(mark)
	sumAt    = sizeAt + 2
	headSize = sumAt + crc32.Size
)

// MaxRecord is the maximum size of a record in bytes.
const MaxRecord = 4 << 10

// maxFile is the maximum size of a file in bytes. A file is rewritten when it has doubled,
// so it is far above that of a journal.
const maxFile = 256 << 20

// readSize is the size of the buffer for reading a file, in bytes.
const readSize = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// magic returns the first line of a file of type what.
func magic(what string) string { return "umbra " + what + " 1\r\n" }

// appendRecord appends the encoding of a record to b.
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

// parseRecord returns the data of the record at the start of b, and its encoded size;
// 0 if there is no valid record.
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

// Errors of a file that is no journal of the type.
var (
	errForeign = errors.New("the file has another type")
	errLarge   = fmt.Errorf("the file is larger than %d MiB", maxFile>>20)
)

// checkMagic returns errForeign or errLarge if the file at path is no journal of the type,
// or the error of reading it. A missing or empty file is valid.
func checkMagic(path, what string) error {
	f, err := openFile(path)
	if f == nil || err != nil {
		return err
	}
	defer f.Close()
	_, err = startRecords(f, what)
	return err
}

// openFile opens the file at path, or returns nil if it is missing.
func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// startRecords returns a reader of what follows the first line of a file.
func startRecords(f *os.File, what string) (*bufio.Reader, error) {
	r := bufio.NewReaderSize(f, readSize)
	first, err := r.Peek(len(magic(what)))
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case len(first) > 0 && string(first) != magic(what):
		return nil, errForeign
	}
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Size() > maxFile {
		return nil, errLarge
	}
	_, err = r.Discard(len(first))
	return r, err
}

// readRecords calls load with each valid record of the file at path, in order. A
// missing file is empty. readRecords returns the number of bytes outside records. It needs
// the memory of a few records, however large the file is.
func readRecords(path, what string, load func([]byte)) (damaged int, err error) {
	f, err := openFile(path)
	if f == nil || err != nil {
		return 0, err
	}
	defer f.Close()
	in, err := startRecords(f, what)
	if err != nil {
		return 0, err
	}
	for {
		b, err := in.Peek(headSize + MaxRecord)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if len(b) == 0 {
			return damaged, nil
		}
		record, size := parseRecord(b)
		if size == 0 {
			size = nextMark(b, err == io.EOF)
			damaged += size
		} else {
			load(record)
		}
		_, _ = in.Discard(size) // of what Peek returned
	}
}

// nextMark returns the offset in b, at least 1, at which the next record may begin. ends
// reports whether the file ends with b.
func nextMark(b []byte, ends bool) int {
	if next := bytes.Index(b[1:], []byte(mark)); next >= 0 {
		return 1 + next
	}
	if !ends && b[len(b)-1] == mark[0] {
		return len(b) - 1
	}
	return len(b)
}

// pathError adds the operation and the path to err, once.
func pathError(did, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return fmt.Errorf("%s %s: %w", did, path, err)
}
