package http

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// maxHead is how many bytes the heads of a proxy's replies may have in all.
const maxHead = 16 << 10

// head is the head of a reply.
type head struct {
	status int
	reason string   // as the proxy wrote it
	logins []string // schemes that a 407 asks for
}

// readHead reads the head of the final reply, past those of 1xx, and returns what it read
// beyond: what a proxy sends behind a 2xx is the target's. It returns an ErrMalformed for
// what is no HTTP/1, as soon as that is certain, and for heads that are too long.
func readHead(conn io.Reader) (head, []byte, error) {
	b := make([]byte, 0, 1<<10)
	size := 0 // of heads that were skipped
	for from := 0; ; {
		if err := checkBegin(b); err != nil {
			return head{}, nil, err
		}
		if end := endOfHead(b, from); end > 0 {
			h, err := parseHead(b[:end])
			if err != nil || h.status >= 200 {
				return h, bytes.Clone(b[end:]), err
			}
			size, b, from = size+end, b[end:], 0
			continue
		}
		from = max(0, len(b)-2)
		if size+len(b) >= maxHead {
			return head{}, nil, fmt.Errorf("%w: a reply of over %d bytes", core.ErrMalformed, maxHead)
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, max(1<<10, 2*len(b))), b...)
		}
		n, err := conn.Read(b[len(b):cap(b)])
		if b = b[:len(b)+n]; n == 0 && err != nil {
			return head{}, nil, err
		}
	}
}

// begin is what every reply begins with; a digit follows.
const begin = "HTTP/1."

// checkBegin returns an ErrMalformed if b can't become a reply of HTTP/1.
func checkBegin(b []byte) error {
	if n := min(len(b), len(begin)); string(b[:n]) != begin[:n] {
		return fmt.Errorf("%w: the reply begins with %q%s", core.ErrMalformed, b[:min(len(b), 16)], looksLike(b[0]))
	}
	return nil
}

// looksLike returns the name of a protocol whose server begins with c.
func looksLike(c byte) string {
	switch c {
	case 5:
		return " (SOCKS5)"
	case 0x15, 0x16:
		return " (TLS)"
	}
	return ""
}

// endOfHead returns the length of the head that b begins with, up to its empty line, or 0 if
// it is not complete. The search begins at from. Lines end with LF, mostly behind a CR.
func endOfHead(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		switch {
		case b[i] != '\n':
		case bytes.HasPrefix(b[i+1:], []byte("\n")):
			return i + 2
		case bytes.HasPrefix(b[i+1:], []byte("\r\n")):
			return i + 3
		}
	}
	return 0
}

// parseHead parses a complete head:
//
//	HTTP/1.1 407 Proxy Authentication Required
//	Proxy-Authenticate: Basic realm="house"
//
// Of its lines only those of a login count.
func parseHead(b []byte) (head, error) {
	first, rest, _ := strings.Cut(string(b), "\n")
	first = strings.TrimSuffix(first, "\r")
	version, after, _ := strings.Cut(first, " ")
	code, reason, _ := strings.Cut(after, " ")
	h := head{reason: strings.TrimSpace(reason)}
	if len(version) != len(begin)+1 || !isDigit(version[len(begin)]) || len(code) != 3 {
		return head{}, fmt.Errorf("%w: status line %.60q", core.ErrMalformed, first)
	}
	for i := range len(code) {
		if !isDigit(code[i]) {
			return head{}, fmt.Errorf("%w: status line %.60q", core.ErrMalformed, first)
		}
		h.status = 10*h.status + int(code[i]-'0')
	}
	if h.status < 100 || h.status == 101 { // CONNECT asks for no other protocol
		return head{}, fmt.Errorf("%w: status line %.60q", core.ErrMalformed, first)
	}
	for line := range strings.Lines(rest) {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Proxy-Authenticate") || strings.EqualFold(name, "WWW-Authenticate") {
			scheme, _, _ := strings.Cut(strings.TrimSpace(value), " ")
			h.logins = append(h.logins, scheme)
		}
	}
	return h, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
