// Package acl reads the ACL files of shadowsocks-libev and shadowsocks-rust and writes what
// they say as rules, routes and policies.
package acl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"unicode"
)

// Dialect is the program whose ACL file it is.
type Dialect int

// The dialects.
const (
	Libev Dialect = iota
	Rust
)

// List is a section of an ACL file, in the forms of umbra's lists of targets.
type List struct {
	Names  []string // "suffix:…", "domain:…", "keyword:…" and "regexp:…"
	Ranges []string
}

// all returns all entries.
func (l List) all() []string { return append(append([]string{}, l.Names...), l.Ranges...) }

// File is an ACL file.
type File struct {
	Dialect Dialect
	// Others is what happens to what is in neither list: true if a local side connects to it
	// by itself, and a server refuses it as a client.
	Others  bool
	Black   List // [black_list], [bypass_list]: connected to directly; or refused clients
	White   List // [white_list], [proxy_list]: through the server; or clients that are served
	Block   List // [outbound_block_list]: what a server connects to for nobody
	Allow   List // [outbound_allow_list]
	Closed  bool // [outbound_block_all]: a server connects to what is in Allow alone
	Ignored []string
}

// maxLine is the longest line in bytes that libev reads, without its end.
const maxLine = 254

// Open reads the ACL file at a path.
func Open(path string, d Dialect) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return Read(path, file, d)
}

// Read reads an ACL file. path stands for it in errors, which name the line.
func Read(path string, r io.Reader, d Dialect) (*File, error) {
	f := &File{Dialect: d}
	section := &f.Black // what stands before the first section, as in both programs
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<16)
	var problems []error
	n := 0
	for lines.Scan() {
		n++
		text := strings.TrimPrefix(lines.Text(), "\uFEFF")
		if d == Libev && len(text) > maxLine {
			f.Ignored = append(f.Ignored, fmt.Sprintf("%s:%d: longer than %d bytes, which libev skips", path, n, maxLine))
			continue
		}
		text = uncomment(text, d)
		switch {
		case text == "":
		case text[0] == '[' && f.isMode(text):
		case text[0] == '[' && f.list(text) != nil:
			section = f.list(text)
		default:
			if err := section.add(text, d); err != nil {
				problems = append(problems, fmt.Errorf("%s:%d: %w", path, n, err))
			}
		}
	}
	if err := lines.Err(); err != nil {
		problems = append(problems, fmt.Errorf("%s:%d: %w", path, n+1, err))
	}
	return f, errors.Join(problems...)
}

// uncomment returns a line without its comment and the spaces around it. In libev's files a
// comment begins anywhere, in those of rust at the beginning of a line.
func uncomment(line string, d Dialect) string {
	if at := strings.IndexByte(line, '#'); at == 0 || at > 0 && d == Libev {
		line = line[:at]
	}
	return strings.TrimFunc(line, unicode.IsSpace)
}

// isMode reports whether a line is a section without entries, and takes it over.
func (f *File) isMode(line string) bool {
	switch line {
	case "[reject_all]", "[bypass_all]":
		f.Others = true
	case "[accept_all]", "[proxy_all]":
		f.Others = false
	case "[outbound_block_all]":
		f.Closed = f.Dialect == Rust
		return f.Dialect == Rust
	case "[outbound_allow_all]":
		f.Closed = false
		return f.Dialect == Rust
	default:
		return false
	}
	return true
}

// list returns the list of a section, or nil for no section.
func (f *File) list(line string) *List {
	switch line {
	case "[black_list]", "[bypass_list]":
		return &f.Black
	case "[white_list]", "[proxy_list]":
		return &f.White
	case "[outbound_block_list]":
		return &f.Block
	case "[outbound_allow_list]":
		if f.Dialect == Rust {
			return &f.Allow
		}
	}
	return nil
}

// add adds the entry of a line.
func (l *List) add(text string, d Dialect) error {
	if r, isRange := parseRange(text, d); isRange {
		l.Ranges = append(l.Ranges, r)
		return nil
	}
	name, err := parseName(text, d)
	if err == nil {
		l.Names = append(l.Names, name)
	}
	return err
}

// parseRange parses an address or a range. Bits behind the prefix are cleared.
func parseRange(text string, d Dialect) (string, bool) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return ip.String(), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return "", false
	}
	return p.Masked().String(), true
}
