package match

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// kind is the kind of an entry of a target list.
type kind uint8

const (
	below   kind = iota + 1 // a name and all names below it
	exact                   // a name alone
	keyword                 // a part of a name
	pattern                 // a regular expression
	network                 // addresses
	file                    // a file of entries
)

// words are the prefixes of entries, without the colon.
var words = [...]string{below: "suffix", exact: "domain", keyword: "keyword", pattern: "regexp", network: "", file: "file"}

// entry is one entry of a target list.
type entry struct {
	kind   kind
	text   []byte // a name in lower case, an expression or a path
	prefix netip.Prefix
}

// parse parses an entry. It may change b; the entry's text shares memory with b.
func parse(b []byte) (entry, error) {
	if word, rest, ok := bytes.Cut(b, []byte(":")); ok {
		switch string(word) {
		case "suffix":
			return parseName(below, rest)
		case "domain":
			return parseName(exact, rest)
		case "keyword":
			return parseKeyword(rest)
		case "regexp":
			return entry{kind: pattern, text: rest}, checkPattern(rest)
		case "file":
			if len(rest) == 0 {
				return entry{}, fmt.Errorf("%q has no path: want %q", b, "file:PATH")
			}
			return entry{kind: file, text: rest}, nil
		case "port":
			return entry{}, fmt.Errorf("%q is not a target: list ports in allow_ports or deny_ports", b)
		}
		if isWord(word) {
			return entry{}, fmt.Errorf("unknown prefix in %.40q: want domain, suffix, keyword, regexp or file", b)
		}
	}
	if isAddress(b) {
		var p option.Prefix
		err := p.UnmarshalText(b)
		return entry{kind: network, prefix: p.Prefix}, err
	}
	return parseName(below, b)
}

// isWord reports whether b can't be the first part of an IPv6 address, and so is a
// prefix.
func isWord(b []byte) bool {
	return len(b) > 4 || bytes.ContainsFunc(b, func(r rune) bool { return r > 'f' || r < '0' || '9' < r && r < 'A' || 'F' < r && r < 'a' })
}

// isAddress reports whether b must be an address or a range: a name contains no colon
// and no slash, and does not end in a label of digits.
func isAddress(b []byte) bool {
	if bytes.ContainsAny(b, ":/") {
		return true
	}
	last := b[bytes.LastIndexByte(b, '.')+1:]
	return len(last) > 0 && len(bytes.Trim(last, "0123456789")) == 0
}

// parseName parses a name. For kind below, a leading "*." or "." is ignored; a
// trailing dot is ignored for both kinds.
func parseName(k kind, b []byte) (entry, error) {
	name := bytes.TrimSuffix(b, []byte("."))
	if k == below {
		name = bytes.TrimPrefix(bytes.TrimPrefix(name, []byte("*")), []byte("."))
	}
	if i := bytes.IndexFunc(name, func(r rune) bool { return r >= 0x80 }); i >= 0 {
		return entry{}, fmt.Errorf("%q has letters beyond ASCII: want its DNS form, %q", b, "xn--…")
	}
	addr, err := core.NewAddr(string(name), 0)
	switch {
	case err != nil || name[len(name)-1] == '.':
		return entry{}, fmt.Errorf("invalid target %.60q: want a name or an address range", b)
	case addr.Name() == "" || isAddress(name):
		return entry{}, fmt.Errorf("%q is not a name: want an address without a prefix", b)
	}
	return entry{kind: k, text: lower(name)}, nil
}

// parseKeyword parses a part of a name.
func parseKeyword(b []byte) (entry, error) {
	if len(b) == 0 || len(b) > core.MaxName {
		return entry{}, fmt.Errorf("invalid keyword %.60q: want 1 to %d bytes", b, core.MaxName)
	}
	for _, c := range b {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", rune(c)) {
			return entry{}, fmt.Errorf("invalid keyword %q: %q can't be part of a name", b, c)
		}
	}
	return entry{kind: keyword, text: lower(b)}, nil
}

// lower changes b to lower case.
func lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
