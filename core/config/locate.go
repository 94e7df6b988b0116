package config

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// node tells where one value stands in the text: the table of a section, a key,
// an element of a list.
type node struct {
	key    int // place of the key, or of the [ of a table's header
	value  int // place of the value, for a table with a header the same as key
	fields map[string]*node
	items  []*node // of a list, or of a list of tables
	header bool    // the table has a header of its own

	variable *Variable       // that the value is from
	owner    *Component      // of a key that its table has by like: whose key it is
	told     bool            // its mistakes are told where its owner is read
	excused  map[string]bool // keys that the table lacks without a mistake of its own
}

// child returns the node of a key, or n itself if the key is not in the file:
// what is missing is missing from n.
func (n *node) child(key string) *node {
	if c := n.fields[key]; c != nil {
		return c
	}
	return n
}

// path returns the path of a key in messages. path is that of n.
func (n *node) path(path, key string) string {
	if c := n.fields[key]; c != nil && c.owner != nil {
		path = c.owner.ID.String()
	}
	return join(path, key)
}

// item returns the node of an element, or n itself.
func (n *node) item(i int) *node {
	if i < 0 || i >= len(n.items) {
		return n
	}
	return n.items[i]
}

// element returns the index that a part of a key is, if n is a list or one value in place
// of a list.
func (n *node) element(part string) (i int, ok bool) {
	i, err := strconv.Atoi(part)
	return i, err == nil && n.fields[part] == nil && (i < len(n.items) || n.variable != nil || len(n.fields)+len(n.items) == 0)
}

// holdsValue reports whether the value, or a default of it, stands in the text.
func (n *node) holdsValue() bool { return n.variable == nil || n.fields[keyDefault] != nil }

// grow returns the node of a key, made if need be, inside the last element of a
// list of tables.
func (n *node) grow(key string, at int) *node {
	if len(n.items) > 0 {
		n = n.items[len(n.items)-1]
	}
	c := n.fields[key]
	if c == nil {
		if n.fields == nil {
			n.fields = map[string]*node{}
		}
		c = &node{key: at, value: at}
		n.fields[key] = c
	}
	return c
}

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
