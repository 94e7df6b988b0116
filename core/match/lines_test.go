package match

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// read reads the text of a file of targets.
func read(text string) (*Targets, error) {
	return ReadTargets("list.txt", textfile.NewReader("list.txt", strings.NewReader(text)))
}

// matches asks a list about a host.
func (t *Targets) matches(host string) string {
	a, err := core.NewAddr(host, 1)
	if err != nil {
		return err.Error()
	}
	if a.Name() == "" {
		found, ok := t.Range(a.IP())
		if ok != t.Has(a.IP()) {
			return "Range and Has disagree"
		}
		if !ok {
			return ""
		}
		return found.String()
	}
	name := strings.TrimSuffix(a.Name(), ".")
	if found, ok := t.Name(name, Fold(nil, name)); ok {
		return found.String()
	}
	return ""
}

// TestLines reads lists in the forms in which they are published.
func TestLines(t *testing.T) {
	list, err := read("\xef\xbb\xbf# a list\r\n" +
		"\r\n" +
		"  plain.example  # and all below it\r\n" +
		"*.wild.example\n.dot.example\n" +
		"0.0.0.0 0.0.0.0\n" +
		"127.0.0.1 localhost localhost.localdomain\n" +
		"::1\tip6-localhost\n" +
		"fe80::1%lo0 local\n" +
		"0.0.0.0 Ads.Example  tracker.example # two names\n" +
		"domain:exact.example\nkeyword:porn\nregexp:^x[0-9]+#\\.  # not in it\n" +
		"198.51.100.0/24\n2001:db8::/32 # documentation\n203.0.113.7")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"plain.example":      "suffix:.plain.example",
		"a.plain.example":    "suffix:.plain.example",
		"A.Plain.Example.":   "suffix:.plain.example",
		"xplain.example":     "",
		"wild.example":       "suffix:.wild.example",
		"a.b.dot.example":    "suffix:.dot.example",
		"localhost":          "domain:localhost",
		"local":              "domain:local",
		"ip6-localhost":      "domain:ip6-localhost",
		"ads.example":        "domain:ads.example",
		"x.ads.example":      "",
		"tracker.example":    "domain:tracker.example",
		"EXACT.example":      "domain:exact.example",
		"x.exact.example":    "",
		"freePornsite.com":   "keyword:porn",
		"198.51.100.9":       "198.51.100.0/24",
		"198.51.101.9":       "",
		"2001:db8::9":        "2001:db8::/32",
		"203.0.113.7":        "203.0.113.7",
		"0.0.0.0":            "",
		"127.0.0.1":          "",
		"::ffff:203.0.113.7": "203.0.113.7",
	} {
		if got := list.matches(host); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
	if got, want := list.patterns.all[0].text, `^x[0-9]+#\.`; got != want {
		t.Errorf("got expression %q, want %q", got, want)
	}
}

func TestLinesErrors(t *testing.T) {
	var many strings.Builder
	for i := range maxPatterns + 1 {
		fmt.Fprintf(&many, "regexp:^a%d\n", i)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"line", "a.example\n\n# c\n10.0.0.1/8\n", "list.txt:4: "},
		{"words", "a.example b.example\n", `list.txt:1: "a.example b.example" has several words`},
		{"hosts", "0.0.0.0 a..b\n", "list.txt:1: "},
		{"nested", "file:other.txt", "list.txt:1: a file can't name another file"},
		{"long line", "a.example\n" + strings.Repeat("a", maxLine+1) + "\n", "list.txt:2: line longer than 16384 bytes"},
		{"binary", "\x00\x01\xff", "list.txt:1: "},
		{"many expressions", many.String(), fmt.Sprintf("list.txt:%d: too many regular expressions", maxPatterns+1)},
		{"long programs", strings.Repeat("regexp:(?:abc){500}\n", 3), "list.txt:3: too many regular expressions"},
		{"repeats", "regexp:((a{100}){100}){100}", "list.txt:1: regular expression: "},
		{"many keywords", strings.Repeat("keyword:abc\n", MaxKeywords+1), fmt.Sprintf("list.txt:%d: too many keywords", MaxKeywords+1)},
	} {
		if _, err := read(tc.text); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s…", tc.name, err, tc.want)
		}
	}
}

// FuzzLines checks that any file is refused with its line or makes a list that denies
// what its lines name.
func FuzzLines(f *testing.F) {
	for _, text := range []string{
		"example.org\n", "0.0.0.0 ads.example b.example # c\n", "10.0.0.0/8\r\n::1\n", "domain:a\nsuffix:.b\nkeyword:c\nregexp:^d$\n",
		"file:x", "*.a.b.", "\xef\xbb\xbfa", "fe80::1%1 local", "regexp:(a{9}){9}", "keyword:é", "1.2.3.4 5.6.7.8", "#\n \t#x\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := read(string(data))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "list.txt:") {
				t.Errorf("got %v, want the line", err)
			}
			return
		}
		for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) {
			e, err := parse(bytes.TrimSpace(bytes.Clone(line)))
			if err != nil { // empty, a comment, a line of a hosts file
				continue
			}
			switch e.kind {
			case below, exact:
				if list.matches(string(e.text)) == "" {
					t.Errorf("%q does not match itself", line)
				}
			case keyword:
				if _, ok := list.keywords.in(e.text); !ok {
					t.Errorf("%q does not match itself", line)
				}
			case network:
				if !list.Has(e.prefix.Addr()) || e.prefix.Addr().Is4In6() {
					t.Errorf("%q does not match itself", line)
				}
			}
		}
		_ = list.Has(netip.Addr{})
	})
}
