package httpproxy

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// A framing is how the end of a message's body is found.
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks // RFC 9112 §7.1
	byEnd    // the body ends with the connection
)

const (
	maxChunkLine = 4 << 10  // bytes of the line before a chunk, with extensions
	maxTrailers  = 16 << 10 // bytes of all lines behind the last chunk
)

// body finds the end of a body in the bytes of a connection. Bytes are passed on as they
// are, so what a body takes for its end is what the next server takes for it: lines end in
// CRLF, and sizes are hexadecimal digits.
type body struct {
	framing framing
	left    int64 // of the length, or of the chunk's data and its CRLF

	state chunkState
	line  int  // bytes of the line so far
	tail  int  // bytes of trailers so far
	cr    bool // the last byte was a CR
	sized bool // the line has a digit
	ext   bool // the line is at its extensions
	size  int64
}

// A chunkState is a place in a chunked body.
type chunkState uint8

const (
	inSize chunkState = iota
	inData
	inDataEnd
	inTrailer
	ended
)

// done reports whether the body has come to its end.
func (b *body) done() bool {
	switch b.framing {
	case byLength:
		return b.left == 0
	case byChunks:
		return b.state == ended
	}
	return b.framing == noBody
}

// take returns how many bytes of p are the body's.
func (b *body) take(p []byte) (int, error) {
	switch b.framing {
	case byEnd:
		return len(p), nil
	case byLength:
		n := int(min(b.left, int64(len(p))))
		b.left -= int64(n)
		return n, nil
	case byChunks:
		return b.chunks(p)
	}
	return 0, nil
}

// chunks is take for a chunked body.
func (b *body) chunks(p []byte) (n int, err error) {
	for n < len(p) && b.state != ended {
		if b.state == inData {
			k := int(min(b.left, int64(len(p)-n)))
			n += k
			if b.left -= int64(k); b.left == 0 {
				b.state = inDataEnd
			}
			continue
		}
		if err := b.step(p[n]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// step takes one byte of a line.
func (b *body) step(c byte) error {
	b.line++
	if b.cr {
		if c != '\n' {
			return fmt.Errorf("chunk: %w: a CR without LF", core.ErrMalformed)
		}
		return b.endLine()
	}
	switch {
	case c == '\r':
		b.cr = true
	case c == '\n', c < ' ' && c != '\t', c == 0x7f:
		return fmt.Errorf("chunk: %w: the byte %#02x in a line", core.ErrMalformed, c)
	case b.state == inDataEnd:
		return fmt.Errorf("chunk: %w: data beyond its size", core.ErrMalformed)
	case b.state == inTrailer:
		if b.tail++; b.tail > maxTrailers {
			return fmt.Errorf("chunk: %w: more than %d bytes of trailers", core.ErrMalformed, maxTrailers)
		}
	case b.line > maxChunkLine:
		return fmt.Errorf("chunk: %w: a line of more than %d bytes", core.ErrMalformed, maxChunkLine)
	case b.ext:
	case c == ';' && b.sized:
		b.ext = true
	default:
		return b.digit(c)
	}
	return nil
}

// digit takes a digit of a chunk's size.
func (b *body) digit(c byte) error {
	var d int64
	switch {
	case '0' <= c && c <= '9':
		d = int64(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		d = int64(c|0x20-'a') + 10
	default:
		return fmt.Errorf("chunk: %w: %q in a size", core.ErrMalformed, c)
	}
	if b.size >= 1<<56 {
		return fmt.Errorf("chunk: %w: a size of more than 60 bits", core.ErrMalformed)
	}
	b.sized, b.size = true, b.size<<4|d
	return nil
}

// endLine ends a line.
func (b *body) endLine() error {
	empty := b.line == 2
	switch {
	case b.state == inSize && !b.sized:
		return fmt.Errorf("chunk: %w: no size", core.ErrMalformed)
	case b.state == inSize && b.size > 0:
		b.state, b.left = inData, b.size
	case b.state == inSize:
		b.state = inTrailer
	case b.state == inDataEnd:
		b.state = inSize
	case empty:
		b.state = ended
	}
	b.line, b.cr, b.sized, b.ext, b.size = 0, false, false, false, 0
	return nil
}
