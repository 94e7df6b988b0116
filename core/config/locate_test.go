package config

import (
	"fmt"
	"strings"
	"testing"
)

// numbered repeats a format n times, with a number each.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestPositions has one wrong value or key in each text, marked by a "^" on
// the line under it.
func TestPositions(t *testing.T) {
	const rest = `
[inbound.socks5]
listen = ":1"
[outbound.direct]
[pipeline.p]
chain = ["inbound.socks5", "policy.all", "outbound.direct"]
`
	for _, tc := range []struct{ name, text, mark string }{
		{"value",
			"[policy.all]\nwindow = 5",
			"\n         ^"},
		{"string",
			"[policy.all]\nwindow = 'x'",
			"\n         ^"},
		{"tabs",
			"[policy.all]\n\twindow\t=\t5",
			"\n          ^"},
		{"no spaces",
			"[policy.all]\nwindow=5",
			"\n       ^"},
		{"a comment after it",
			"# one\n[policy.all] # two = 2\n# window = 3\nwindow = 5 # four = \"",
			"\n\n\n         ^"},
		{"characters of several bytes",
			"[policy.all]\nlimits = { 'ä' = 'ö', u = 1 }",
			"\n                 ^"},
		{"quoted key",
			"[policy.all]\n\"window\" = 5",
			"\n           ^"},
		{"escapes in a key",
			"[policy.all]\n\"w\\u0069ndow\" = 5",
			"\n                ^"},
		{"unknown quoted key",
			"[policy.all]\nflag = true\n 'quartz' = 5",
			"\n\n ^"},
		{"unknown dotted key",
			"policy.all.quartz = 5",
			"           ^"},
		{"unknown key with spaces around the dots",
			"[policy]\nall . quartz = 5",
			"\n      ^"},
		{"unknown key of an inline table",
			"policy = { all = { flag = true, quartz = 5 } }",
			"                                ^"},
		{"unknown key after a table",
			"[policy.all.limits]\na = 1\n[policy.all.quartz]\nb = 1",
			"\n\n^"},
		{"element",
			"[policy.all]\nlist = [\"a\", \"[#]\", 5]",
			"\n                    ^"},
		{"element on a line of its own",
			"[policy.all]\nlist = [\n  'a', # 7,\n\n  5,\n]",
			"\n\n\n\n  ^"},
		{"element of an element",
			"[policy.all]\nlist = ['a', [1, 2]]",
			"\n             ^"},
		{"after strings of several lines",
			"[policy.all]\ntext = \"\"\"\nwindow = 1\n\\\"\"\" \\\n\"\"\"\"\"\nwindow = 5",
			"\n\n\n\n\n         ^"},
		{"after raw strings of several lines",
			"[policy.all]\ntext = '''\nwindow = 1\n\\'''''\nwindow = 5",
			"\n\n\n\n         ^"},
		{"string of several lines",
			"[policy.all]\nwindow = '''\n1\n2'''",
			"\n         ^"},
		{"after a date",
			"[policy.all.limits]\na = 1\n[policy.all]\nwindow = 1979-05-27 07:32:00Z # x",
			"\n\n\n         ^"},
		{"table that lacks a key",
			"[policy.all]\n\n  [policy.all.tuning]",
			"\n\n  ^"},
		{"table before its parent",
			"[policy.all.limits]\na = 1\n[policy.all]\nwindow = 5",
			"\n\n\n         ^"},
		{"header with spaces and quotes",
			"[ policy . \"all\" ]\nwindow = 5",
			"\n         ^"},
		{"list of tables",
			"[[policy.all.tunings]]\nname = 'a'\n[[policy.all.tunings]]\nname = 'b'\nsize = 'c'",
			"\n\n\n\n       ^"},
		{"table inside a list of tables",
			"[[policy.all.tunings]]\nname = 'a'\n[policy.all.tunings.inner]\ndepth = 'c'",
			"\n\n\n        ^"},
		{"list of inline tables",
			"[policy.all]\ntunings = [{name = 'a'}, {name = 'b', inner.depth = 'c'}]",
			"\n                                                    ^"},
		{"inline table on several lines",
			"[policy.all]\ntuning = {\n  name = 'a', # }\n  size = 'c',\n}",
			"\n\n\n         ^"},
	} {
		for end, text := range map[string]string{"LF": tc.text + rest, "CRLF": strings.ReplaceAll(tc.text+rest, "\n", "\r\n"), "BOM": "\ufeff" + tc.text + rest} {
			t.Run(tc.name+" "+end, func(t *testing.T) {
				line := strings.Count(tc.mark, "\n") + 1
				col := len(tc.mark) - strings.LastIndex(tc.mark, "\n") - 1
				_, err := Parse("x", []byte(text), kinds())
				want := fmt.Sprintf("x:%d:%d: policy.all", line, col)
				if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want one line that begins with %s", err, want)
				}
			})
		}
	}
}

// sameShape reports where the positions lack something that the TOML library
// read, or have something else.
func sameShape(value any, n *node, path string) error {
	switch v := value.(type) {
	case map[string]any:
		if len(v) != len(n.fields) {
			return fmt.Errorf("%s: got %d keys, want %d", path, len(n.fields), len(v))
		}
		for key, value := range v {
			if n.fields[key] == nil {
				return fmt.Errorf("%s: got no key %q", path, key)
			}
			if err := sameShape(value, n.fields[key], join(path, key)); err != nil {
				return err
			}
		}
	case []any:
		if len(v) != len(n.items) {
			return fmt.Errorf("%s: got %d elements, want %d", path, len(n.items), len(v))
		}
		for i, value := range v {
			if err := sameShape(value, n.items[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case []map[string]any:
		if len(v) != len(n.items) {
			return fmt.Errorf("%s: got %d tables, want %d", path, len(n.items), len(v))
		}
		for i, value := range v {
			if err := sameShape(value, n.items[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}
