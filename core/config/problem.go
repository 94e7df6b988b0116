package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
	"github.com/umbra-proxy/umbra/core"
)

// maxText is the longest text of a problem in bytes; values that it quotes may
// be of any length.
const maxText = 600

// Problem is one mistake in a file, or one warning.
type Problem struct {
	File string
	Line int    // from 1
	Col  int    // from 1, in characters
	Path string // the table or key, such as "outbound.paris.server"; may be ""
	Text string // one line
}

// Error returns "file:line:col: path: text".
func (p Problem) Error() string {
	if p.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Col, p.Path, p.Text)
}

// Join returns one error for several problems, a line each, sorted by position;
// nil for none. errors.As finds the first Problem in it, and a
// *multierror.Error that holds all of them.
func Join(problems ...Problem) error {
	sorted := slices.Clone(problems)
	slices.SortStableFunc(sorted, compareProblems)
	sorted = slices.Compact(sorted) // several tables may have a value from one
	list := &multierror.Error{ErrorFormat: lines}
	for _, p := range sorted {
		list = multierror.Append(list, p)
	}
	return list.ErrorOrNil()
}

func compareProblems(a, b Problem) int {
	return cmp.Or(
		strings.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
		strings.Compare(a.Path, b.Path), strings.Compare(a.Text, b.Text))
}

func lines(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}

// Problem places an error that building the component id gave: at the option
// that a core.OptionError names, else at the component's table.
func (f *File) Problem(id ID, err error) Problem {
	root := f.src.all[0].root
	n, path, text := root, id.String(), err.Error()
	if c := f.Components[id]; c != nil {
		n = c.at
	}
	if oe, ok := errors.AsType[*core.OptionError](err); ok {
		text = strings.Replace(text, oe.Error(), oe.Err.Error(), 1)
		missing := false
		for _, key := range core.SplitOptionKey(oe.Key) {
			if i, isElement := n.element(key); isElement && n != root && !missing {
				n = n.item(i)
				continue
			}
			if missing = missing || n.fields[key] == nil; missing {
				path = join(path, key)
			} else {
				path, n = n.path(path, key), n.fields[key]
			}
		}
	}
	if c := f.Components[id]; c != nil && n != c.at {
		return f.src.problem(n.value, path, text)
	}
	return f.src.problem(n.key, path, text)
}

// Line returns the line of an option of a component, as a core.OptionError names it, or of
// the component's table, or 0 if the file does not have it.
func (f *File) Line(id ID, key string) int {
	if f.Components[id] == nil {
		return 0
	}
	return f.Problem(id, &core.OptionError{Key: key, Err: errors.New("here")}).Line
}

// Problems is Problem for an error that may join several, as of errors.Join.
func (f *File) Problems(id ID, err error) []Problem {
	var problems []Problem
	for _, e := range split(err) {
		problems = append(problems, f.Problem(id, e))
	}
	return problems
}

// split returns the errors that err joins, or err alone.
func split(err error) []error {
	switch joined := err.(type) {
	case *multierror.Error:
		return joined.WrappedErrors()
	case interface{ Unwrap() []error }:
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}

// ChainProblem places an error at element i, from 0, of a pipeline's chain.
func (f *File) ChainProblem(pipeline string, i int, err error) Problem {
	n := f.src.all[0].root.child(sectionPipeline)
	if j := slices.IndexFunc(f.Pipelines, func(p *Pipeline) bool { return p.Name == pipeline }); j >= 0 {
		n = f.Pipelines[j].at.child("chain")
	}
	path := join(join(sectionPipeline, pipeline), "chain")
	return f.src.problem(n.item(i).value, path, err.Error())
}

// join appends a key to a path.
func join(path, key string) string {
	if key = show(key); strings.Contains(key, ".") && key[0] != '"' {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// show returns a name from the file as it stands in a message: as it is if
// it is made as names are, else quoted, and never long.
func show(name string) string {
	if len(name) > 80 {
		name = clip(name, 80)
	}
	for _, r := range name {
		if !isBare(r) && r != '.' {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

func isBare(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

// oneLine makes text fit for one line of a report.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return clip(strings.TrimSpace(text), maxText)
}

// clip cuts s after at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
