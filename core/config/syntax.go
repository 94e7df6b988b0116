package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// parse returns the file's values as the TOML library reads them: string,
// int64, float64, bool, time.Time, []any, map[string]any, and []map[string]any
// for lists of tables.
func (s *source) parse() (values map[string]any, problem *Problem) {
	defer func() {
		// The library panics where its lexer and its parser disagree.
		if recover() != nil {
			p := s.problem(s.base, "", "the file is not TOML")
			values, problem = nil, &p
		}
	}()
	if _, err := toml.Decode(s.text, &values); err != nil {
		p := s.syntaxProblem(err)
		return nil, &p
	}
	return values, nil
}

// syntaxProblem puts the library's error in our form. The library quotes what
// it finds, which may be half a password that lacks its quotes; our texts
// don't.
func (s *source) syntaxProblem(err error) Problem {
	pe, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		return s.problem(s.base, "", "the file is not TOML")
	}
	at := min(max(pe.Position.Start, 0), len(s.text))
	if at > 0 && at == len(s.text) {
		at--
	}
	for at+1 < len(s.text) && (s.text[at] == ' ' || s.text[at] == '\t') {
		at++
	}
	path := pe.LastKey
	line, _ := s.position(s.base + at)
	if strings.HasPrefix(strings.TrimLeft(s.text[s.lines[line-1]:], " \t"), "[") {
		path = "" // the last key is one of the table before
	}
	text := syntaxText(pe.Message)
	if key, ok := keyOf(pe.Message); ok {
		path = key
	}
	return s.problem(s.base+at, clip(path, 200), text)
}

// keyOf returns the key that a message of the library is about.
func keyOf(message string) (string, bool) {
	rest, ok := strings.CutPrefix(message, "Key '")
	if !ok {
		return "", false
	}
	i := strings.LastIndex(rest, "' ")
	if i < 0 {
		return "", false
	}
	return rest[:i], true
}

// syntaxText says in our words what a message of the library says.
func syntaxText(message string) string {
	for _, m := range []struct{ part, say string }{
		{"has already been defined", "given twice"},
		{"was already created as a hash", "given as a value and as a table"},
		{"was already created and cannot be used as an array", "given both as [table] and as [[list of tables]]"},
		{"is not a table", "given as a value and as a table"},
		{"expected value but found", `want a value here; a string stands in quotes`},
		{"expected value", "want a value here"},
		{"invalid datetime", `no number and no date; a string stands in quotes`},
		{"Invalid integer", `no number; a string stands in quotes, and digits have no leading zero`},
		{"Invalid float", `no number; a string stands in quotes`},
		{"invalid float", `no number; a string stands in quotes`},
		{"floats must start with a digit", "a number begins with a digit; a string stands in quotes"},
		{"cannot use sign", "no number; only decimal numbers have a sign"},
		{"not a binary number", "no number after 0b"},
		{"not an octal number", "no number after 0o"},
		{"not a hexadecimal number", "no number after 0x"},
		{"expected a digit", "want a digit after the sign; a string stands in quotes"},
		{"out of range", "the number is out of range"},
		{"strings cannot contain newlines", "the string has no closing quote on its line"},
		{`expected '"""'`, `the string has no closing """`},
		{`expected "'''"`, `the string has no closing '''`},
		{"expected '\"'", "the string has no closing quote"},
		{`expected "'"`, "the string has no closing quote"},
		{"expected a top-level item to end", "want the end of the line here; a string stands in quotes"},
		{"expected a comma (',') or array", "want , or ] here"},
		{"expected a comma or an inline table", "want , or } here"},
		{"unexpected comma", "a comma too many"},
		{"to end table name", "want . or ] in the table's name"},
		{"end of table array name delimiter", "want ]] after the table's name"},
		{"unexpected end of table name", "a table needs a name"},
		{"unexpected table separator", "a table's name has no empty part"},
		{"key name appears blank", "want a key here"},
		{"keys cannot start with a '.'", "a key has no empty part"},
		{"expected '.' or '='", "want = after the key"},
		{"expected key separator", "want = after the key"},
		{"unexpected '.'", "a key has no empty part"},
		{"unexpected '='", "a key has no empty part"},
		{`unexpected '"`, "too many quotes"},
		{`unexpected "'`, "too many quotes"},
		{"hexadecimal digits after", `want hexadecimal digits after the \ escape`},
		{"invalid escape", `no such \ escape; write \\ for a backslash, or 'single quotes'`},
		{"is not valid UTF-8", `the \ escape is no character`},
	} {
		if strings.Contains(message, m.part) {
			return m.say
		}
	}
	quoted := regexp.MustCompile(`"[^"]{2,}"|'[^']{2,}'`)
	return fmt.Sprintf("not TOML: %s", quoted.ReplaceAllString(message, "…"))
}
