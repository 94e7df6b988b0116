package config

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Bounds on nesting. The TOML library recurses into values, and its work for a
// dotted key grows with the square of its parts; no option needs more than a
// few of either.
const (
	maxDepth = 16 // brackets and braces open at once
	maxParts = 16 // parts of a dotted key
)

// source is the text of a file. It is UTF-8 without control characters, and
// its nesting is within the bounds.
type source struct {
	document
	base  int // the place of the text's first byte
	text  string
	lines []int // offsets of the lines' first bytes

	values map[string]any // as parse returns them
	root   *node          // where they stand
}

// newSource checks what the TOML library would report badly or not survive.
func newSource(d document, base int) (*source, *Problem) {
	s, name, data := &source{document: d, base: base}, d.name, d.data
	s.data = nil
	if len(data) > MaxSize {
		p := Problem{File: name, Line: 1, Col: 1, Text: fmt.Sprintf("larger than %d MiB; is this the right file?", MaxSize>>20)}
		return nil, &p
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		p := Problem{File: name, Line: 1, Col: 1, Text: "the file is UTF-16; save it as UTF-8"}
		return nil, &p
	}
	s.text = string(bytes.TrimPrefix(data, []byte("\ufeff")))
	s.lines = append(s.lines, 0)
	for i := range len(s.text) {
		if s.text[i] == '\n' && i+1 < len(s.text) {
			s.lines = append(s.lines, i+1)
		}
	}
	at, text := badByte(s.text)
	if text == "" {
		at, text = tooDeep(s.text)
	}
	if text != "" {
		p := s.problem(base+at, "", text)
		return nil, &p
	}
	return s, nil
}

// badByte finds the first byte that TOML does not allow anywhere. It returns ""
// if there is none.
func badByte(text string) (at int, fault string) {
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i, "a byte that is not UTF-8; save the file as UTF-8"
			}
		case r == 0:
			return i, "a NUL byte; is this a text file in UTF-8?"
		case r == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			return i, "a carriage return without a line feed"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			return i, fmt.Sprintf("a control character (0x%02x)", r)
		}
	}
	return 0, ""
}

// tooDeep finds the first place beyond the bounds on nesting. Up to the text's
// first syntax error it sees strings and comments just as the TOML library
// does, which reads no further than that error.
func tooDeep(text string) (at int, fault string) {
	depth, parts := 0, 1
	for i := 0; i < len(text); {
		switch text[i] {
		case '"', '\'':
			i = skipString(text, i)
			continue
		case '#':
			i = lineEnd(text, i)
			continue
		case '[', '{':
			if depth++; depth > maxDepth {
				return i, fmt.Sprintf("brackets nested more than %d deep", maxDepth)
			}
			parts = 1
		case ']', '}':
			depth = max(0, depth-1)
		case '.':
			if parts++; parts > maxParts {
				return i, fmt.Sprintf("a key of more than %d parts", maxParts)
			}
		case '\n', ',', '=':
			parts = 1
		}
		i++
	}
	return 0, ""
}

// skipString returns the offset after the string that begins at text[i], or of
// the place where it breaks off.
func skipString(text string, i int) int {
	quote := text[i]
	mark := strings.Repeat(string(quote), 3)
	if strings.HasPrefix(text[i:], mark) {
		for i += 3; i < len(text); i++ {
			if quote == '"' && text[i] == '\\' {
				i++
			} else if strings.HasPrefix(text[i:], mark) {
				for i < len(text) && text[i] == quote { // up to two quotes belong to the string
					i++
				}
				return i
			}
		}
		return len(text)
	}
	for i++; i < len(text) && text[i] != '\n'; i++ {
		switch {
		case text[i] == quote:
			return i + 1
		case quote == '"' && text[i] == '\\' && i+1 < len(text) && text[i+1] != '\n':
			i++
		}
	}
	return i
}

// lineEnd returns the offset of the next line feed at or after i, or the end.
func lineEnd(text string, i int) int {
	if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

// problem makes a Problem at a place of the text.
func (s *source) problem(at int, path, text string) Problem {
	line, col := s.position(at)
	return Problem{File: s.name, Line: line, Col: col, Path: path, Text: oneLine(text)}
}

// problems makes Problems of mistakes that are sorted by their places. It counts the
// characters of a line once, however many mistakes are on it.
func (s *source) problems(found []mistake) []Problem {
	var problems []Problem
	line, col, last := 0, 0, 0
	for _, m := range found {
		at := min(max(m.at-s.base, 0), len(s.text))
		if line == 0 || line < len(s.lines) && at >= s.lines[line] {
			line, col = s.position(m.at)
		} else {
			col += utf8.RuneCountInString(s.text[last:at])
		}
		last = at
		problems = append(problems, Problem{s.name, line, col, m.path, oneLine(m.text)})
	}
	return problems
}

// position returns the line and the column, from 1, of a place. A column
// counts characters; a tab is one.
func (s *source) position(at int) (line, col int) {
	at = min(max(at-s.base, 0), len(s.text))
	line = sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > at })
	return line, utf8.RuneCountInString(s.text[s.lines[line-1]:at]) + 1
}
