package acl

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Bounds of one list on the entries that take time each. With as many as there may be, of the worst
// kind, the longest name takes some ten milliseconds; an ordinary one takes ten
// microseconds.
const (
	maxKeywords   = 10_000
	maxPatterns   = 256
	maxExpression = 255  // bytes of one
	maxSteps      = 4096 // of all their programs
)

var (
	errKeywords = fmt.Errorf("too many keywords: want at most %d in a list", maxKeywords)
	errPatterns = fmt.Errorf("too many regular expressions: want at most %d in a list, of %d steps in all", maxPatterns, maxSteps)
)

// keywords are parts of names, by their first byte.
type keywords struct {
	by  map[byte][]string
	len int
}

// checkAll returns an error if the sets of a list have too much of these together.
func checkAll(sets []*targets) error {
	words, steps, expressions := 0, 0, 0
	for _, t := range sets {
		words += t.keywords.len
		steps += t.patterns.steps
		expressions += len(t.patterns.all)
	}
	switch {
	case words > maxKeywords:
		return errKeywords
	case steps > maxSteps || expressions > maxPatterns:
		return errPatterns
	}
	return nil
}

func (k *keywords) add(text []byte) error {
	if k.len++; k.len > maxKeywords {
		return errKeywords
	}
	if k.by == nil {
		k.by = map[byte][]string{}
	}
	k.by[text[0]] = append(k.by[text[0]], string(text))
	return nil
}

// in returns a keyword that stands in a name of lower case.
func (k *keywords) in(name []byte) (string, bool) {
	if k.len == 0 {
		return "", false
	}
	for i := range name {
		for _, word := range k.by[name[i]] {
			if len(word) <= len(name)-i && string(name[i:i+len(word)]) == word {
				return word, true
			}
		}
	}
	return "", false
}

// patterns are regular expressions. Go's take time in proportion to the length of the
// name and of the expression, whatever the two are.
type patterns struct {
	all   []expression
	steps int
}

// expression is a regular expression as it was written.
type expression struct {
	text string
	re   *regexp.Regexp
}

// checkPattern returns what is wrong with an expression by itself.
func checkPattern(text []byte) error {
	if len(text) == 0 || len(text) > maxExpression {
		return fmt.Errorf("invalid regular expression %.60q…: want 1 to %d bytes", text, maxExpression)
	}
	_, err := stepsOf(string(text))
	return err
}

// stepsOf returns how long the program of an expression is.
func stepsOf(text string) (int, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("regular expression: %w", err)
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0, fmt.Errorf("regular expression: %w", err)
	}
	return len(program.Inst), nil
}

func (p *patterns) add(b []byte) error {
	text := string(bytes.Clone(b))
	steps, err := stepsOf(text)
	if err != nil {
		return err
	}
	if p.steps += steps; len(p.all) == maxPatterns || p.steps > maxSteps {
		return errPatterns
	}
	re, err := regexp.Compile("(?i:" + text + ")")
	p.all = append(p.all, expression{text, re})
	return err
}

// in returns an expression that matches a name.
func (p *patterns) in(name string) (string, bool) {
	for _, e := range p.all {
		if e.re.MatchString(name) {
			return e.text, true
		}
	}
	return "", false
}
