package convert

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Document is a configuration of umbra that is being written. Its tables have the order in
// which they were made. The zero Document is empty and ready.
type Document struct {
	head   []string
	tables []*Table
	taken  map[string]bool // the names of components, as section.name
}

// Table is a table of a Document.
type Table struct {
	name    string
	comment []string
	lines   []string
	keys    []string
}

// Say adds a line of comment to the head of the document.
func (d *Document) Say(format string, args ...any) {
	d.head = append(d.head, strings.Split(fmt.Sprintf(format, args...), "\n")...)
}

// Table returns the table of a name, such as "process" or "inbound.local". A new one stands
// after all others.
func (d *Document) Table(name string) *Table {
	for _, t := range d.tables {
		if t.name == name {
			return t
		}
	}
	t := &Table{name: name}
	d.tables = append(d.tables, t)
	return t
}

// Has reports whether there is a table of a name.
func (d *Document) Has(name string) bool {
	return slices.ContainsFunc(d.tables, func(t *Table) bool { return t.name == name })
}

// Name returns a name for a component of a section that no other one has: what people call
// it, in the letters that names are made of, with a number if need be.
func (d *Document) Name(section, called string) string {
	name := plain(called)
	if name == "" {
		name = section
	}
	if d.taken == nil {
		d.taken = map[string]bool{}
	}
	free := name
	for n := 2; d.taken[section+"."+free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	d.taken[section+"."+free] = true
	return free
}

// plain returns a text in the letters of names: lower case, digits, "-" and "_".
func plain(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// Say adds a line of comment above the table.
func (t *Table) Say(format string, args ...any) {
	t.comment = append(t.comment, strings.Split(fmt.Sprintf(format, args...), "\n")...)
}

// Set sets a key: to a string, an integer, a boolean, a list or a map of them. A key that is
// set again has the last value.
func (t *Table) Set(key string, value any) {
	line := assignment(key, value)
	if at := slices.Index(t.keys, key); at >= 0 {
		t.lines[at] = line
		return
	}
	t.keys, t.lines = append(t.keys, key), append(t.lines, line)
}

// assignment returns the line `key = value`. The value can't fail to be written: it is one
// of those that Set names.
func assignment(key string, value any) string {
	if m, isTable := value.(map[string]any); isTable {
		line := assignment(key, []any{0, m}) // in a mixed list the encoder writes a table in line
		head, rest, _ := strings.Cut(line, " = [0, ")
		return head + " = " + strings.TrimSuffix(rest, "]")
	}
	var b bytes.Buffer
	e := toml.NewEncoder(&b)
	if err := e.Encode(map[string]any{key: value}); err != nil {
		panic(fmt.Sprintf("convert: %s: %v", key, err))
	}
	return strings.TrimSpace(b.String())
}

// String returns the document as TOML.
func (d *Document) String() string {
	var b strings.Builder
	comment := func(lines []string) {
		for _, line := range lines {
			b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
		}
	}
	comment(d.head)
	for _, t := range d.tables {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		comment(t.comment)
		fmt.Fprintf(&b, "[%s]\n", t.name)
		for _, line := range t.lines {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
