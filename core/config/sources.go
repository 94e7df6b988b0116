package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
)

// document is a text and where it is from.
type document struct {
	name string // for positions
	dir  string // what relative patterns of its includes are relative to
	data []byte
	info fs.FileInfo // nil for a text that is not of a file
	from *source     // that includes it; nil for the main one
}

// exposed reports whether every user of the machine may read the document.
func (d document) exposed() bool {
	return d.info != nil && readableByAll(d.info)
}

// sources are the texts of a configuration in the order in which they were read: the main
// one, and those that it includes. A place is an offset in all of them, a text after another.
type sources struct{ all []*source }

// add reads a text.
func (s *sources) add(d document) (*source, *Problem) {
	base := 0
	if n := len(s.all); n > 0 {
		base = s.all[n-1].base + len(s.all[n-1].text) + 1 // the end of a text is a place of its own
	}
	src, problem := newSource(d, base)
	if problem != nil {
		return nil, problem
	}
	if src.values, problem = src.parse(); problem != nil {
		return nil, problem
	}
	src.root = locate(src.text, src.base)
	s.all = append(s.all, src)
	return src, nil
}

// of returns the text of a place.
func (s *sources) of(at int) *source {
	i := sort.Search(len(s.all), func(i int) bool { return s.all[i].base > at })
	return s.all[max(0, i-1)]
}

// rest returns the text from a place to its end.
func (s *sources) rest(at int) string {
	src := s.of(at)
	return src.text[min(max(at-src.base, 0), len(src.text)):]
}

// isString reports whether a string stands at a place.
func (s *sources) isString(at int) bool {
	return strings.HasPrefix(s.rest(at), `"`) || strings.HasPrefix(s.rest(at), "'")
}

// textAt returns the string that stands at a place, without its quotes.
func (s *sources) textAt(at int) string {
	if !s.isString(at) {
		return ""
	}
	rest := s.rest(at)
	return strings.Trim(rest[:min(skipString(rest, 0), len(rest))], `"'`)
}

// line says where a place is in a message that stands at another: "line 5", and in which
// file if that is not the same.
func (s *sources) line(at, from int) string {
	src := s.of(at)
	line, _ := src.position(at)
	if src == s.of(from) {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("line %d of %s", line, src.name)
}

// these says which texts lack something.
func (s *sources) these() string {
	if len(s.all) > 1 {
		return "these files"
	}
	return "this file"
}

// problem makes a Problem at a place.
func (s *sources) problem(at int, path, text string) Problem { return s.of(at).problem(at, path, text) }

// mistake is a Problem without its file, line and column.
type mistake struct {
	at         int // a place
	path, text string
}

// problems makes Problems.
func (s *sources) problems(found []mistake) []Problem {
	slices.SortStableFunc(found, func(a, b mistake) int { return cmp.Compare(a.at, b.at) })
	var problems []Problem
	for len(found) > 0 {
		src := s.of(found[0].at)
		n := sort.Search(len(found), func(i int) bool { return found[i].at > src.base+len(src.text) })
		n = max(n, 1)
		problems = append(problems, src.problems(found[:n])...)
		found = found[n:]
	}
	return problems
}
