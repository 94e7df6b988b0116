package config

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"house", "house", 0},
		{"house", "hosue", 1},
		{"house", "ohuse", 1},
		{"house", "houses", 1},
		{"house", "huse", 1},
		{"house", "mouse", 1},
		{"house", "mosue", 2},
		{"ab", "ba", 1},
		{"ca", "abc", 3},
		{"kitten", "sitting", 3},
		{"listen", "silent", 4},
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q): got %d, want %d", tc.a, tc.b, got, tc.want)
		}
		if got := distance(tc.b, tc.a); got != tc.want {
			t.Errorf("distance(%q, %q): got %d, want %d", tc.b, tc.a, got, tc.want)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, tc := range []struct {
		word, candidates, want string
	}{
		{"hosue", "house mouse", "house"},
		{"houze", "mouse house", "house"},
		{"mode", "node code", "code"},
		{"Listen", "listen", "listen"},
		{"LISTN", "listen server", "listen"},
		{"half", "all", ""},
		{"s", "ss", "ss"},
		{"sss", "s", ""},
		{"cipher", "", ""},
		{"", "a", "a"},
		{strings.Repeat("x", 65), strings.Repeat("x", 65), ""},
	} {
		if got := nearest(tc.word, strings.Fields(tc.candidates)); got != tc.want {
			t.Errorf("nearest(%q, %q): got %q, want %q", tc.word, tc.candidates, got, tc.want)
		}
	}
}

func TestGuessesEnd(t *testing.T) {
	c := &checker{guesses: 3}
	for i, want := range []string{"ab", "", ""} {
		if got := c.guess("abc", []string{"ab", "x"}); got != want {
			t.Errorf("guess %d: got %q, want %q", i, got, want)
		}
	}
}
