package plugins_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// example is config.example.toml, line by line.
type example struct {
	lines []exampleLine
}

// exampleLine is one line. A table or a key may be commented out: it then begins
// with "# ".
type exampleLine struct {
	text      string
	table     string // the table that the line stands in, such as "inbound.ss"
	key       string // that the line gives; "" for none
	commented bool
	header    bool // the line is the header of table
}

var (
	headerLine = regexp.MustCompile(`^(# )?\[([a-z_]+(?:\.[a-z0-9_-]+)?)\]`)
	keyLine    = regexp.MustCompile(`^(# )?([a-z0-9_]+) *= ["\[{0-9a-z]`)
)

func readExample(t *testing.T) example {
	t.Helper()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var e example
	table := ""
	for line := range strings.Lines(string(text)) {
		l := exampleLine{text: strings.TrimSuffix(line, "\n")}
		if m := headerLine.FindStringSubmatch(line); m != nil {
			table = m[2]
			l.commented, l.header = m[1] != "", true
		} else if m := keyLine.FindStringSubmatch(line); m != nil && table != "" {
			l.commented, l.key = m[1] != "", m[2]
		}
		l.table = table
		e.lines = append(e.lines, l)
	}
	return e
}

// with returns the file with the lines taken in that choose selects. A line that
// gives a key which its table has already takes its place.
func (e example) with(choose func(l exampleLine) bool) string {
	var b strings.Builder
	for _, l := range e.lines {
		text := l.text
		switch {
		case l.commented && choose(l):
			text = strings.TrimPrefix(text, "# ")
		case l.key != "" && !l.commented && slices.ContainsFunc(e.lines, func(other exampleLine) bool {
			return other.commented && choose(other) && other.table == l.table && other.key == l.key
		}):
			text = "# " + text
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// inert reports whether a line belongs to a table that is commented out as a
// whole.
func (e example) inert(l exampleLine) bool {
	return slices.ContainsFunc(e.lines, func(h exampleLine) bool { return h.header && h.commented && h.table == l.table })
}

// first reports whether l is the first line of its table that gives its key: of
// several kinds that a table is shown with, that is the one it has.
func (e example) first(l exampleLine) bool {
	i := slices.IndexFunc(e.lines, func(other exampleLine) bool { return other.table == l.table && other.key == l.key })
	return l.key == "" || e.lines[i] == l
}

// kindsOf returns the kinds that a table is shown with.
func (e example) kindsOf(table, name string) []string {
	var kinds []string
	for _, l := range e.lines {
		if l.table == table && l.key == "kind" {
			_, value, _ := strings.Cut(l.text, `"`)
			value, _, _ = strings.Cut(value, `"`)
			kinds = append(kinds, value)
		}
	}
	if kinds == nil {
		return []string{name}
	}
	return kinds
}
