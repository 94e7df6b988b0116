package acl

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxExpression is the longest regular expression of umbra's lists, in bytes.
const maxExpression = 255

// starts are beginnings of expressions that mean: this name, and all names below it.
var starts = []string{`(^|\.)`, `(?:^|\.)`, `(\.|^)`, `(?:\.|^)`, `^(.*\.)?`, `^(?:.*\.)?`, `^(.+\.)?`, `^(?:.+\.)?`, `^([^.]+\.)*`, `^(?:[^.]+\.)*`}

// parseName parses an entry for names: a regular expression, which is looked for anywhere in
// a name; in rust's files "||name" for a name and all below it, and "|name" for itself.
// Expressions that say no more than one of umbra's other forms become that form, which takes
// no time to find among a hundred thousand.
func parseName(text string, d Dialect) (string, error) {
	if d == Rust {
		if name, ok := strings.CutPrefix(text, "||"); ok {
			return named("suffix:", name)
		}
		if name, ok := strings.CutPrefix(text, "|"); ok {
			return named("domain:", name)
		}
	}
	for _, start := range starts {
		if rest, ok := strings.CutPrefix(text, start); ok {
			if name, ok := literal(strings.TrimSuffix(rest, "$")); ok && strings.HasSuffix(rest, "$") {
				return "suffix:" + name, nil
			}
		}
	}
	inner, begins := strings.CutPrefix(text, "^")
	inner, ends := strings.CutSuffix(inner, "$")
	if name, ok := literal(inner); ok && begins == ends {
		if begins {
			return "domain:" + name, nil
		}
		return "keyword:" + name, nil
	}
	return expression(text)
}

// named returns an entry for a name that is written as it is.
func named(prefix, name string) (string, error) {
	name = strings.ToLower(strings.Trim(name, "."))
	if !isName.MatchString(name) {
		return "", fmt.Errorf("%.60q is no name", name)
	}
	return prefix + name, nil
}

var isName = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

// literal returns the name that an expression is, all of whose dots are escaped.
func literal(text string) (string, bool) {
	name := strings.ToLower(strings.ReplaceAll(text, `\.`, "\x00"))
	if strings.ContainsAny(name, ".\\") {
		return "", false
	}
	name = strings.ReplaceAll(strings.ReplaceAll(name, `\-`, "-"), "\x00", ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	return name, isName.MatchString(name) && strings.Trim(last, "0123456789") != "" // else it looks like an address
}

// expression returns an entry for an expression that is no name.
func expression(text string) (string, error) {
	if len(text) > maxExpression {
		return "", fmt.Errorf("regular expression %.60q… is longer than %d bytes", text, maxExpression)
	}
	_, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return "", fmt.Errorf("%.60q is neither a range of addresses nor a regular expression without looking around or back: %w", text, err)
	}
	return "regexp:" + text, nil
}
