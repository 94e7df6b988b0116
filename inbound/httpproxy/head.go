package httpproxy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/umbra-proxy/umbra/core"
)

// field is one line of a head.
type field struct{ name, value string }

// is reports whether the field has a name, in whatever case.
func (f field) is(name string) bool { return strings.EqualFold(f.name, name) }

// head is the beginning of a message: its first line and its fields, in order.
type head struct {
	first  string
	fields []field
}

// cutHead returns the head that b begins with and its size, 0 if it is incomplete.
func cutHead(b []byte) (head, int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return head{}, 0, nil
	}
	lines := strings.Split(string(b[:end]), "\r\n")
	h := head{first: lines[0]}
	for _, line := range lines {
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
			return head{}, 0, fmt.Errorf("head: %w: the byte %#02x in a line", core.ErrMalformed, line[i])
		}
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return head{}, 0, fmt.Errorf("head: %w: %.40q is no field", core.ErrMalformed, line)
		}
		h.fields = append(h.fields, field{name, strings.Trim(value, " \t")})
	}
	return h, end + 4, nil
}

// all returns the values of a field.
func (h head) all(name string) (values []string) {
	for _, f := range h.fields {
		if f.is(name) {
			values = append(values, f.value)
		}
	}
	return values
}

// has reports whether a field that is a list has a token.
func (h head) has(name, token string) bool {
	return httpguts.HeaderValuesContainsToken(h.all(name), token)
}

// frame returns how the body of a message is framed that is not without one by its nature:
// otherwise says how it is if no field tells. Two ways at once are an error, for the next
// server might choose the other one.
func (h head) frame(otherwise framing) (body, error) {
	codings, lengths := h.all("Transfer-Encoding"), h.all("Content-Length")
	switch {
	case len(codings) > 0 && len(lengths) > 0:
		return body{}, fmt.Errorf("head: %w: both Content-Length and Transfer-Encoding", core.ErrMalformed)
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return body{}, fmt.Errorf("head: %w: Transfer-Encoding %.40q, want chunked alone", core.ErrMalformed, codings)
	case len(codings) == 1:
		return body{framing: byChunks}, nil
	case len(lengths) > 1:
		return body{}, fmt.Errorf("head: %w: Content-Length twice", core.ErrMalformed)
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil || lengths[0][0] == '+' {
			return body{}, fmt.Errorf("head: %w: Content-Length %.40q", core.ErrMalformed, lengths[0])
		}
		return body{framing: byLength, left: int64(n)}, nil
	}
	return body{framing: otherwise}, nil
}

// hop are the fields of one connection, beside those that Connection names (RFC 9110
// §7.6.1), and those that this side writes itself.
func hop(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "proxy-connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-authorization",
		"proxy-authenticate", "proxy-authentication-info", "content-length":
		return true
	}
	return false
}

// append appends the head for the next side, with first as its first line: without the
// fields of this connection, with those of the body's framing, and with more.
func (h head) append(b []byte, first string, upgrade bool, more ...string) []byte {
	b = append(append(b, first...), "\r\n"...)
	for _, line := range more {
		b = append(append(b, line...), "\r\n"...)
	}
	for _, f := range h.fields {
		if hop(f.name) || h.has("Connection", f.name) {
			continue
		}
		b = append(append(append(append(b, f.name...), ": "...), f.value...), "\r\n"...)
	}
	for _, f := range h.fields {
		if f.is("Content-Length") || f.is("Transfer-Encoding") || upgrade && f.is("Upgrade") {
			b = append(append(append(append(b, f.name...), ": "...), f.value...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}
