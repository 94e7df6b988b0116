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
		{"mode", "node code", "code node"},
		{"Listen", "listen", "listen"},
		{"LISTN", "listen server", "listen"},
		{"half", "all", ""},
		{"server", "observer", ""},
		{"obsever", "observer", "observer"},
		{"bosever", "observer", "observer"},
		{"s", "ss", "ss"},
		{"sss", "s", ""},
		{"cipher", "", ""},
		{"", "a", "a"},
		{strings.Repeat("x", 65), strings.Repeat("x", 65), ""},
	} {
		if got := strings.Join(nearest(tc.word, strings.Fields(tc.candidates)), " "); got != tc.want {
			t.Errorf("nearest(%q, %q): got %q, want %q", tc.word, tc.candidates, got, tc.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for _, tc := range []struct {
		word, candidates, want string
	}{
		{"hosue", "house houses", "; did you mean house?"},
		{"mode", "node code", "; did you mean code or node?"},
		{"aes", "aes-256-gcm rc4 aes-128-gcm aes-192-gcm", "; did you mean aes-128-gcm, aes-192-gcm or aes-256-gcm?"},
		{"AES", "aes-256-gcm", "; did you mean aes-256-gcm?"},
		{"list", "lists listen", "; did you mean lists?"}, // edits count before beginnings
		{"x", "xa1 xb1 xc1 xd1 xe1 xf1 xg1 xh1", "; did you mean xa1, xb1, xc1, xd1, xe1, xf1, xg1 or xh1?"},
		{"x", "xa1 xb1 xc1 xd1 xe1 xf1 xg1 xh1 xi1", ""},
		{"", "house", ""},
		{"frobnicate", "house", ""},
	} {
		if got := DidYouMean(tc.word, strings.Fields(tc.candidates)); got != tc.want {
			t.Errorf("DidYouMean(%q, %q): got %q, want %q", tc.word, tc.candidates, got, tc.want)
		}
	}
}

// A guess is one name: the first of several near ones, or the only one that begins
// with the word.
func TestGuess(t *testing.T) {
	c := &checker{guesses: maxGuesses}
	for _, tc := range []struct {
		word, candidates, want string
	}{
		{"mode", "node code", "code"},
		{"prefix_v", "prefix_v6 prefix_v4", "prefix_v4"},
		{"pass", "password listen", "password"},
		{"aes", "aes-128-gcm aes-256-gcm", ""},
	} {
		if got := c.guess(tc.word, strings.Fields(tc.candidates)); got != tc.want {
			t.Errorf("guess(%q, %q): got %q, want %q", tc.word, tc.candidates, got, tc.want)
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
