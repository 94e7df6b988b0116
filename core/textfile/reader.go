package textfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ErrNotText is wrapped by the errors of a file that is not text in UTF-8.
var ErrNotText = errors.New("want text in UTF-8")

// bom is the byte order mark that some editors write at the start of a file in UTF-8.
const bom = "\ufeff"

// readSize is the size of a Reader's buffer in bytes.
const readSize = 32 << 10

// Reader reads text in UTF-8 as parsers expect it: without a byte order mark at the
// start, and with lines that end in "\n", also where an editor wrote "\r\n". It returns
// an error for a NUL byte, for bytes that are not UTF-8 and for a carriage return within
// a line. The error names the file and the line, and wraps ErrNotText.
type Reader struct {
	path string
	from io.Reader
	buf  []byte
	out  []byte            // checked bytes that Read has not returned; part of buf
	part [utf8.UTFMax]byte // an incomplete character at the end of what was read
	kept int               // size of part in bytes
	line int               // number of the line after the checked bytes; 0 before the first read
	cr   bool              // a carriage return was read that may belong to the end of a line
	err  error             // what Read returns after out
}

// NewReader returns a Reader of the text in from. Errors call it path.
func NewReader(path string, from io.Reader) *Reader {
	return &Reader{path: path, from: from, buf: make([]byte, readSize)}
}

// Read implements io.Reader. Errors of the underlying reader are returned unchanged.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill reads and checks the next bytes.
func (r *Reader) fill() {
	at := copy(r.buf, r.part[:r.kept])
	least := 1
	if r.line == 0 {
		least = len(bom)
	}
	n, err := io.ReadAtLeast(r.from, r.buf[at:], least)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	r.err = err
	b := r.buf[:at+n]
	if r.line == 0 {
		r.line = 1
		if isUTF16(b) {
			r.err = r.refuse("the file is UTF-16; save it as UTF-8")
			return
		}
		b = bytes.TrimPrefix(b, []byte(bom))
	}
	r.kept = 0
	if err == nil {
		whole := len(b) - incomplete(b)
		r.kept = copy(r.part[:], b[whole:])
		b = b[:whole]
	}
	if bad := r.check(b); bad != nil {
		r.err = bad
	}
}

// check sets out to b without carriage returns at the ends of lines, and counts lines. It
// changes b.
func (r *Reader) check(b []byte) error {
	if fault := firstFault(b); fault.text != "" {
		r.line += bytes.Count(b[:fault.at], []byte("\n"))
		return r.refuse("%s", fault.text)
	}
	if !r.cr && bytes.IndexByte(b, '\r') < 0 {
		r.line += bytes.Count(b, []byte("\n"))
		r.out = b
		return nil
	}
	n := 0
	for _, c := range b {
		switch {
		case c == '\r':
			r.cr = true
			continue
		case c == '\n':
			r.line++
			r.cr = false
		case r.cr:
			return r.refuse("a carriage return within the line; save the file with line ends of Unix")
		}
		b[n] = c
		n++
	}
	r.out = b[:n]
	return nil
}

// refuse returns an error at the current line.
func (r *Reader) refuse(format string, args ...any) error {
	return &notText{fmt.Sprintf("%s:%d: %s", r.path, r.line, fmt.Sprintf(format, args...))}
}

// notText is an ErrNotText with its place.
type notText struct{ text string }

func (e *notText) Error() string { return e.text }
func (e *notText) Unwrap() error { return ErrNotText }

// fault is a byte that text does not contain.
type fault struct {
	at   int
	text string // "" for none
}

// firstFault returns the first fault in b.
func firstFault(b []byte) fault {
	nul := bytes.IndexByte(b, 0)
	if nul < 0 && utf8.Valid(b) {
		return fault{}
	}
	for at := 0; at < len(b); {
		r, size := utf8.DecodeRune(b[at:])
		switch {
		case r == utf8.RuneError && size == 1:
			return fault{at, "a byte that is not UTF-8; save the file as UTF-8"}
		case r == 0:
			return fault{at, "a NUL byte; is this a text file in UTF-8?"}
		}
		at += size
	}
	return fault{}
}

// incomplete returns the size of an incomplete character at the end of b.
func incomplete(b []byte) int {
	for n := 1; n <= min(len(b), utf8.UTFMax-1); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// isUTF16 reports whether a file that begins with b is UTF-16: by its byte order mark, or
// by the zero that is half of an ASCII character.
func isUTF16(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	return b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff || (b[0] == 0) != (b[1] == 0)
}
