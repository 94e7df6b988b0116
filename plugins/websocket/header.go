package websocket

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// keyGUID is appended to the key of a request before it is hashed (RFC 6455 §1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// acceptOf returns the Sec-WebSocket-Accept that proves to a client that its key was read.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + keyGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// hasToken reports whether a list of tokens in the header has a token, in any case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for word := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}

// own are the lines of a request that a client writes itself, and those that have no place
// in it, in lower case; sec-websocket- begins others.
var own = []string{"host", "connection", "upgrade", "content-length", "transfer-encoding", "trailer"}

// headerLines returns the lines of the option headers, sorted by name.
func (o Options) headerLines() (string, error) {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		value := o.Headers[name].Reveal()
		if err := checkHeader(name, value); err != nil {
			return "", &core.OptionError{Key: core.OptionKey("headers", name), Err: err}
		}
		fmt.Fprintf(&lines, "%s: %s\r\n", name, value)
	}
	return lines.String(), nil
}

// checkHeader returns an error if a line of the options would break the request. The error
// does not contain the value.
func checkHeader(name, value string) error {
	if err := option.CheckHeaderName(name); err != nil {
		return err
	}
	switch lower := strings.ToLower(name); {
	case lower == "host":
		return errors.New("write the option host instead")
	case slices.Contains(own, lower) || strings.HasPrefix(lower, "sec-websocket-"):
		return errors.New("this line can't be set")
	}
	return option.CheckHeaderValue(value)
}

// headReader reads headers from a wire, each of at most most bytes. What was read beyond
// the last header stays for rest.
type headReader struct {
	*bufio.Reader
	limit io.LimitedReader
	wire  noted
	most  int
}

// noted is a wire that keeps the error of its last read: of a header that is cut off,
// net/http says only that it is malformed.
type noted struct {
	core.Stream
	err error
}

func (w *noted) Read(p []byte) (int, error) {
	n, err := w.Stream.Read(p)
	w.err = err
	return n, err
}

// headBuffer is the size of the buffer in bytes; a usual request fits.
const headBuffer = 2 << 10

func newHeadReader(wire core.Stream, most int) *headReader {
	r := &headReader{wire: noted{Stream: wire}, most: most}
	r.limit.R = &r.wire
	r.Reader = bufio.NewReaderSize(&r.limit, headBuffer)
	return r
}

// next allows most bytes for the next header.
func (r *headReader) next() { r.limit.N = int64(max(r.most-r.Buffered(), 1)) }

// exhausted reports whether a header failed because it is too long.
func (r *headReader) exhausted() bool { return r.limit.N == 0 && r.Buffered() == 0 }

// cut returns why a header is cut off, io.ErrUnexpectedEOF if the peer has ended, or nil if
// the wire is not to blame.
func (r *headReader) cut() error {
	if r.wire.err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return r.wire.err
}

// over returns wire with the bytes put back that were read beyond the last header.
func (r *headReader) over(wire core.Stream) core.Stream {
	rest, _ := r.Peek(r.Buffered())
	return netio.Unread(wire, bytes.Clone(rest)) // the buffer is larger
}
