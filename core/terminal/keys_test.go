package terminal

import (
	"bytes"
	"slices"
	"testing"
)

func TestParseKeys(t *testing.T) {
	for _, tc := range []struct {
		name, sent string
		want       []Key
		rest       string
	}{
		{"characters", "pä世", []Key{'p', 'ä', '世'}, ""},
		{"arrows", "\x1b[A\x1b[B\x1bOC\x1b[D", []Key{Up, Down, Right, Left}, ""},
		{"with a modifier", "\x1b[1;5A", []Key{Up}, ""},
		{"pages", "\x1b[5~\x1b[6~\x1b[H\x1b[4~", []Key{PageUp, PageDown, Home, End}, ""},
		{"escape alone", "\x1b", []Key{Escape}, ""},
		{"escape and a character", "\x1bq", []Key{Escape, 'q'}, ""},
		{"unknown", "\x1b[15~q", []Key{'q'}, ""},
		{"half a sequence", "q\x1b[1;", []Key{'q'}, "\x1b[1;"},
		{"half a character", "q\xe4\xb8", []Key{'q'}, "\xe4\xb8"},
		{"no sequence", "\x1b[1\x03", []Key{Interrupt}, ""},
		{"no UTF-8", "\xff\xfeq", []Key{'q'}, ""},
		{"line ends", "\r\n\b\x7f", []Key{Enter, Enter, Backspace, Backspace}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, rest := ParseKeys([]byte(tc.sent))
			if !slices.Equal(keys, tc.want) || string(rest) != tc.rest {
				t.Errorf("got %d and %q, want %d and %q", keys, rest, tc.want, tc.rest)
			}
		})
	}
}

// What a terminal sends never makes the rest grow without end, and all of it is read.
func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("p\x1b[A\x1b[1;5B\x1bOC\x1b"))
	f.Add([]byte("\x1b[99999999999999999999999999999999999999999"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		keys, rest := ParseKeys(bytes.Clone(sent))
		if len(rest) > maxSequence || !bytes.HasSuffix(sent, rest) {
			t.Errorf("rest %q of %q", rest, sent)
		}
		if len(keys) > len(sent) {
			t.Errorf("%d keys of %d bytes", len(keys), len(sent))
		}
	})
}

func TestFit(t *testing.T) {
	for _, tc := range []struct {
		text    string
		columns int
		want    string
	}{
		{"paris", 7, "paris  "}, {"paris", 5, "paris"}, {"paris", 4, "par~"}, {"paris", 1, "~"}, {"paris", 0, ""},
		{"世界", 4, "世界"}, {"世界", 3, "世~"}, {"世界", 2, "~ "}, {"e\u0301", 2, "e\u0301 "}, {"", 2, "  "},
	} {
		if got := Fit(tc.text, tc.columns); got != tc.want {
			t.Errorf("%q in %d: got %q, want %q", tc.text, tc.columns, got, tc.want)
		}
		if got := Width(Fit(tc.text, tc.columns)); got != tc.columns {
			t.Errorf("%q in %d: got a width of %d", tc.text, tc.columns, got)
		}
	}
}
