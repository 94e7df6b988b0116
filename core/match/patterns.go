package match

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Bounds on the entries of a list that each take time to match. With the maximum number
// of the slowest entries the longest name takes about ten milliseconds; an ordinary
// name takes ten microseconds.
const (
	MaxKeywords   = 10_000
	maxPatterns   = 256
	maxExpression = 255  // bytes in one expression
	maxSteps      = 4096 // instructions in the programs of all expressions
)

var (
	errKeywords = fmt.Errorf("too many keywords: want at most %d in a list", MaxKeywords)
	errPatterns = fmt.Errorf("too many regular expressions: want at most %d in a list, of %d steps in all", maxPatterns, maxSteps)
)

// keywords is a set of parts of names, by their first byte.
type keywords struct {
	by  map[byte][]string
	len int
}

// CheckAll returns an error if the sets of a list together exceed the bounds on keywords and
// regular expressions.
func CheckAll(sets []*Targets) error {
	words, steps, expressions := 0, 0, 0
	for _, t := range sets {
		words += t.keywords.len
		steps += t.patterns.steps
		expressions += len(t.patterns.all)
	}
	switch {
	case words > MaxKeywords:
		return errKeywords
	case steps > maxSteps || expressions > maxPatterns:
		return errPatterns
	}
	return nil
}

func (k *keywords) add(text []byte) error {
	if k.len++; k.len > MaxKeywords {
		return errKeywords
	}
	if k.by == nil {
		k.by = map[byte][]string{}
	}
	k.by[text[0]] = append(k.by[text[0]], string(text))
	return nil
}

// in returns a keyword that a lower-case name contains.
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

// patterns is a list of regular expressions. The matching time of a Go expression is
// proportional to the length of the name and of the expression in all cases.
type patterns struct {
	all   []expression
	steps int
}

// expression is a regular expression with its text in the list.
type expression struct {
	text string
	re   *regexp.Regexp
}

// checkPattern returns an error if an expression is invalid.
func checkPattern(text []byte) error {
	if len(text) == 0 || len(text) > maxExpression {
		return fmt.Errorf("invalid regular expression %.60q…: want 1 to %d bytes", text, maxExpression)
	}
	_, err := stepsOf(string(text))
	return err
}

// stepsOf returns the number of instructions of an expression's program.
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
