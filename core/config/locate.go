package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// locate finds where everything stands in a text that the TOML library has
// read without an error. For any other text the result is incomplete. The text
// begins at the place base.
func locate(text string, base int) *node {
	s := &scan{text: text, base: base}
	root := &node{key: base, value: base}
	table := root
	for s.blank(); s.i < len(s.text); s.blank() {
		before := s.i
		if s.text[s.i] == '[' {
			table = s.tableHeader(root)
		} else {
			s.keyValue(table)
		}
		if s.i == before {
			break // not TOML
		}
	}
	return root
}

// scan is a position in a text.
type scan struct {
	text string
	i    int
	base int // the place of the text's first byte
}

// at returns the place of the scan.
func (s *scan) at() int { return s.base + s.i }

// tableHeader reads "[a.b]" or "[[a.b]]" and returns the table's node.
func (s *scan) tableHeader(root *node) *node {
	at := s.at()
	s.take('[')
	list := s.take('[')
	n := root
	for _, p := range s.keys() {
		n = n.grow(p.name, at)
	}
	s.take(']')
	if list {
		s.take(']')
		item := &node{key: at, value: at, header: true}
		n.items = append(n.items, item)
		return item
	}
	if !n.header {
		n.key, n.value, n.header = at, at, true
	}
	return n
}

// keyValue reads "a.b = value" into a table.
func (s *scan) keyValue(table *node) {
	n := table
	for _, p := range s.keys() {
		n = n.grow(p.name, p.at)
	}
	s.space()
	s.take('=')
	s.space()
	s.read(n)
}

// read reads a value into n.
func (s *scan) read(n *node) {
	n.value = s.at()
	if s.i >= len(s.text) {
		return
	}
	switch s.text[s.i] {
	case '"', '\'':
		s.i = skipString(s.text, s.i)
	case '[':
		s.i++
		s.each(']', func() {
			item := &node{key: s.at()}
			s.read(item)
			n.items = append(n.items, item)
		})
	case '{':
		s.i++
		s.each('}', func() { s.keyValue(n) })
	default: // a number, a date with a space in it, true or false
		for s.i < len(s.text) && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.i])) {
			s.i++
		}
	}
}

// each calls one for each thing up to the end of a list or an inline table.
func (s *scan) each(end byte, one func()) {
	for s.blank(); s.i < len(s.text) && !s.take(end); s.blank() {
		if s.take(',') {
			continue
		}
		before := s.i
		if one(); s.i == before {
			return // not TOML
		}
	}
}

// part is one part of a dotted key.
type part struct {
	name string
	at   int
}

// keys reads a dotted key.
func (s *scan) keys() []part {
	var parts []part
	for {
		s.space()
		p, begin := part{at: s.at()}, s.i
		if s.i < len(s.text) && (s.text[s.i] == '"' || s.text[s.i] == '\'') {
			s.i = skipString(s.text, s.i)
			p.name = unquote(s.text[begin:s.i])
		} else {
			for s.i < len(s.text) && isBare(rune(s.text[s.i])) {
				s.i++
			}
			p.name = s.text[begin:s.i]
		}
		parts = append(parts, p)
		s.space()
		if !s.take('.') {
			return parts
		}
	}
}

// unquote returns what a quoted key stands for.
func unquote(quoted string) string {
	if len(quoted) < 2 {
		return quoted
	}
	if quoted[0] == '\'' || !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1]
	}
	var v struct{ K string }
	if _, err := toml.Decode("K = "+quoted, &v); err != nil {
		return quoted
	}
	return v.K
}

// take steps over b if it comes next.
func (s *scan) take(b byte) bool {
	if s.i < len(s.text) && s.text[s.i] == b {
		s.i++
		return true
	}
	return false
}

// space steps over spaces and tabs.
func (s *scan) space() {
	for s.i < len(s.text) && (s.text[s.i] == ' ' || s.text[s.i] == '\t') {
		s.i++
	}
}

// blank steps over white space, line ends and comments.
func (s *scan) blank() {
	for s.i < len(s.text) {
		switch s.text[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		case '#':
			s.i = lineEnd(s.text, s.i)
		default:
			return
		}
	}
}
