package config

import (
	"strings"
	"testing"
)

// TestSyntax has files that can't be read at all. The mistakes that the TOML
// library finds hold half a secret each, which must not be repeated.
func TestSyntax(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
	}{
		{"empty", "", "x:1:1: no pipeline; write [pipeline.<name>] with a chain"},
		{"comment", "# nothing\n", "x:1:1: no pipeline; write [pipeline.<name>] with a chain"},
		{"BOM", "\ufeffa = b", "x:1:5: a: want a value here; a string stands in quotes"},
		{"BOM in the middle", "a = 1\n\ufeff", "x:2:1: want = after the key"},
		{"UTF-16 little endian", "\xff\xfea\x00", "x:1:1: the file is UTF-16; save it as UTF-8"},
		{"UTF-16 big endian", "\xfe\xff\x00a", "x:1:1: the file is UTF-16; save it as UTF-8"},
		{"NUL", "a = 1\nb = \"\x00\"", "x:2:6: a NUL byte; is this a text file in UTF-8?"},
		{"control", "# ä \x1b[31m", "x:1:5: a control character (0x1b)"},
		{"delete", "a\x7f", "x:1:2: a control character (0x7f)"},
		{"not UTF-8", "a = \"ö\"\n[outbound.\"\xc3\x28\"]", "x:2:12: a byte that is not UTF-8; save the file as UTF-8"},
		{"replacement character", "# \ufffd\n", "x:1:1: no pipeline; write [pipeline.<name>] with a chain"},
		{"lone carriage return", "a = 1\rb = 2", "x:1:6: a carriage return without a line feed"},
		{"last carriage return", "a = 1\r", "x:1:6: a carriage return without a line feed"},
		{"no quotes", "[cipher.c]\npassword = hunter2", "x:2:12: cipher.c.password: want a value here; a string stands in quotes"},
		{"no quotes, digits", "password = 12hunter2", "x:1:14: want the end of the line here; a string stands in quotes"},
		{"no quotes, address", "listen = 127.0.0.1:1080", "x:1:10: listen: no number; a string stands in quotes"},
		{"no quotes, date", "password = 1979-99-99", "x:1:12: password: no number and no date; a string stands in quotes"},
		{"leading zero", "password = 012345678", "x:1:12: password: no number; a string stands in quotes, and digits have no leading zero"},
		{"huge number", "password = 99999999999999999999", "x:1:12: password: the number is out of range"},
		{"hexadecimal", "password = 0xhunter2", "x:1:12: password: no number after 0x"},
		{"sign", "password = +hunter2", "x:1:12: password: want a digit after the sign; a string stands in quotes"},
		{"dot", "password = .5hunter2", "x:1:12: password: a number begins with a digit; a string stands in quotes"},
		{"no closing quote", "[cipher.c]\npassword = \"hunter2\nx = 1\n", "x:2:20: cipher.c.password: the string has no closing quote on its line"},
		{"no closing quote at the end", "password = 'hunter2", "x:1:19: password: the string has no closing quote"},
		{"no closing quotes", "password = \"\"\"hunter2\n", "x:1:22: password: the string has no closing \"\"\""},
		{"no closing single quotes", "password = '''hunter2", "x:1:21: password: the string has no closing '''"},
		{"text after a value", "password = \"a\" hunter2", "x:1:16: want the end of the line here; a string stands in quotes"},
		{"escape", `password = "hunter\2"`, `x:1:13: password: no such \ escape; write \\ for a backslash, or 'single quotes'`},
		{"hexadecimal escape", `password = "hunter\u12"`, `x:1:13: password: want hexadecimal digits after the \ escape`},
		{"surrogate", `password = "hunter\ud800"`, `x:1:13: password: the \ escape is no character`},
		{"no value", "[cipher.c]\npassword =\n", "x:2:11: cipher.c.password: want a value here; a string stands in quotes"},
		{"no value at the end", "password =", "x:1:10: password: want a value here"},
		{"no equals sign", "password \"hunter2\"", "x:1:10: want = after the key"},
		{"no key", "= \"hunter2\"", "x:1:1: want a key here"},
		{"empty part of a key", ".a = 1", "x:1:1: a key has no empty part"},
		{"empty middle part of a key", "a..b = 1", "x:1:3: a key has no empty part"},
		{"empty last part of a key", "a. = 1", "x:1:4: a key has no empty part"},
		{"quotes", `a = """hunter2""""""`, `x:1:8: a: too many quotes`},
		{"single quotes", `a = '''hunter2''''''`, `x:1:8: a: too many quotes`},
		{"list", "a = [1 \"hunter2\"]", "x:1:8: a: want , or ] here"},
		{"commas", "a = [1,,2]", "x:1:8: a: a comma too many"},
		{"open list", "a = [1,\n", "x:1:8: a: want a value here"},
		{"inline table", "a = {b = 1 c = 2}", "x:1:12: a.b: want , or } here"},
		{"table header", "[log]\n[outbound paris]", "x:2:11: want . or ] in the table's name"},
		{"list header", "[[outbound.paris]", "x:1:17: want ]] after the table's name"},
		{"table without a name", "[]", "x:1:2: a table needs a name"},
		{"table with an empty part", "[a..b]", "x:1:4: a table's name has no empty part"},
		{"key twice", "[cipher.c]\npassword = \"x\"\npassword = \"hunter2\"", "x:3:1: cipher.c.password: given twice"},
		{"table twice", "[cipher.c]\n[log]\n[cipher.c]", "x:3:2: cipher.c: given twice"},
		{"value and table", "cipher = 5\n[cipher.c]", "x:2:2: cipher: given as a value and as a table"},
		{"table and list", "[cipher.c]\n[[cipher.c]]", "x:2:3: cipher.c: given both as [table] and as [[list of tables]]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tc.text), kinds())
			got := strings.TrimSuffix(report(f, err), "\n")
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if strings.Contains(got, "hunter") {
				t.Errorf("got %q, which has a part of a secret", got)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	deep := func(n int) string {
		return "[policy.all]\nx = " + strings.Repeat("[", n) + strings.Repeat("]", n)
	}
	for _, tc := range []struct {
		name, text, want string
	}{
		{"size", strings.Repeat("#", MaxSize+1), "x:1:1: larger than 4 MiB; is this the right file?"},
		{"lists", deep(1e5), "x:2:21: brackets nested more than 16 deep"},
		{"tables", "x = " + strings.Repeat("{a=", 1e5), "x:1:53: brackets nested more than 16 deep"},
		{"both", "x = " + strings.Repeat("[{a=", 1e5), "x:1:37: brackets nested more than 16 deep"},
		{"across lines", "x = " + strings.Repeat("[\n", 1e5), "x:17:1: brackets nested more than 16 deep"},
		{"behind strings", `x = ["]", ']', """]""" , '''` + "\n]''', # ]\n" + strings.Repeat("[", 16), "x:3:16: brackets nested more than 16 deep"},
		{"behind a quote at the end of a string", `x = [ """]""""", ` + strings.Repeat("[", 16), "x:1:33: brackets nested more than 16 deep"},
		{"behind escapes", `x = [ "\"]", """\"""]""", ` + strings.Repeat("[", 16), "x:1:42: brackets nested more than 16 deep"},
		{"key", "x = 1\n" + strings.Repeat("a.", 1e5), "x:2:32: a key of more than 16 parts"},
		{"table's name", "[" + strings.Repeat("a.", 1e5), "x:1:33: a key of more than 16 parts"},
		{"inside a string", "x = '" + strings.Repeat("[.", 100) + "'", "x:1:1: no pipeline; write [pipeline.<name>] with a chain\nx:1:1: x: a key that stands in no table"},
		{"within the bounds", deep(16), "x:1:1: no pipeline; write [pipeline.<name>] with a chain\nx:2:1: policy.all.x: unknown key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tc.text), kinds())
			if got := strings.TrimSuffix(report(f, err), "\n"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestLongTexts(t *testing.T) {
	long := strings.Repeat("ä", 100_000)
	text := "[policy.\"" + long + "\"]\n[policy.all]\nwindow = \"" + long + "\"\n" + strings.Repeat("x", 100_000) + " = 1\n"
	_, err := Parse("x", []byte(text), kinds())
	for line := range strings.Lines(err.Error()) {
		if len(line) > 1000 {
			t.Errorf("got a line of %d bytes: %.100s", len(line), line)
		}
	}
}

// TestManyMistakes has files where work for each mistake could add up.
func TestManyMistakes(t *testing.T) {
	for name, text := range map[string]string{
		"chain":  "[pipeline.p]\nchain = [" + strings.Repeat(`"outbound.x",`, 5_000) + "]",
		"keys":   "[policy.all]\n" + numbered("window%d = 1\n", 5_000),
		"tables": numbered("[resolver.dns%d]\n", 4_000),
		"likes":  numbered("[policy.all%d]\nlike = \"b\"\n", 10_000),
		"heirs":  "[policy.all]\n" + numbered("x%d = 1\n", 200) + numbered("[policy.all%d]\nlike = \"all\"\n", 1_000),
		"refs":   numbered("[resolver.dns%d]\nkind = \"dns\"\nvia = \"a\"\n", 2_000),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("x", []byte(text), kinds()); err == nil {
				t.Error("got nil, want mistakes")
			}
		})
	}
}
