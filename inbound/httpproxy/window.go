package httpproxy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

// firstRead is the size of the first read of a head.
const firstRead = 2 << 10

// maxSkip is the longest body of a request without a login that leaves the connection open.
const maxSkip = 64 << 10

// window are the bytes of a client that were read and belong to nothing yet.
type window struct {
	conn core.Stream
	b    []byte
}

// head reads the head of a request of at most limit bytes.
func (w *window) head(limit int) (head, error) {
	for {
		if len(w.b) > 0 && (w.b[0] < 'A' || w.b[0] > 'Z' && w.b[0] < 'a' || w.b[0] > 'z') {
			return head{}, fmt.Errorf("request: %w: first byte %#02x, not HTTP", core.ErrMalformed, w.b[0])
		}
		h, n, err := cutHead(w.b)
		switch {
		case err != nil:
			return head{}, &refusal{400, err}
		case n > 0 && n <= limit:
			w.b = w.b[n:]
			return h, nil
		case len(w.b) >= limit:
			return head{}, &refusal{431, fmt.Errorf("request: %w: a head of more than max_head, %d bytes", core.ErrMalformed, limit)}
		}
		if err := w.fill(limit); err != nil {
			return head{}, fmt.Errorf("request of %d bytes so far: %w", len(w.b), shortOf(err))
		}
	}
}

// fill adds at least one byte.
func (w *window) fill(limit int) error {
	w.b = slices.Grow(w.b, min(max(firstRead, len(w.b)), limit))
	n, err := w.conn.Read(w.b[len(w.b):cap(w.b)])
	if w.b = w.b[:len(w.b)+n]; n > 0 {
		return nil // the next read returns the error again
	}
	return err
}

// rest takes all bytes out of the window.
func (w *window) rest() []byte {
	b := slices.Clip(w.b)
	w.b = nil
	return b
}

// read reads bytes of a body, or, without one, all bytes.
func (w *window) read(p []byte, of *body) (n int, err error) {
	if len(w.b) > 0 {
		n = copy(p, w.b)
		w.b = w.b[n:]
	} else if n, err = w.conn.Read(p); n > 0 {
		err = nil
	}
	if of == nil || n == 0 {
		return n, err
	}
	k, err := of.take(p[:n])
	if k < n {
		w.b = append(slices.Clone(p[k:n]), w.b...)
	}
	return k, err
}

// skip reads a body to its end and discards it, if it has at most maxSkip bytes.
func (w *window) skip(of *body) error {
	var p [512]byte
	for left := maxSkip; !of.done(); {
		n, err := w.read(p[:], of)
		if left -= n; left < 0 {
			return fmt.Errorf("no login, and a body of more than %d bytes: %w", maxSkip, core.ErrDenied)
		}
		if err != nil {
			return fmt.Errorf("body: %w", shortOf(err))
		}
	}
	return nil
}

// shortOf returns the error of a client that ended, or was too slow, within its request.
func shortOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", core.ErrShort, err)
	}
	return err
}
