package config

import (
	"cmp"
	"slices"
	"strings"
)

// maxGuesses bounds the candidates that one Parse compares to wrong names, so
// that a file of nothing but wrong names is still read in no time.
const maxGuesses = 200_000

// guess returns the candidate that the writer of word most likely meant, or "".
func (c *checker) guess(word string, candidates []string) string {
	if c.guesses -= len(candidates); c.guesses < 0 {
		return ""
	}
	return nearest(word, candidates)
}

// didYouMean returns "; did you mean x?" for the nearest candidate, or "".
func (c *checker) didYouMean(word string, candidates []string) string {
	if near := c.guess(word, candidates); near != "" {
		return "; did you mean " + show(near) + "?"
	}
	return ""
}

// nearest returns the candidate within two edits of word (one for a short
// word), or "". Upper and lower case are alike, and so are - and _. Of several
// the nearest and then the first of the alphabet is taken.
func nearest(word string, candidates []string) string {
	word = fold(word)
	most := 2
	if len(word) <= 4 {
		most = 1
	}
	if len(word) > 64 {
		return ""
	}
	best, bestDistance := "", most+1
	for _, candidate := range candidates {
		if d := len(candidate) - len(word); d > most || d < -most {
			continue
		}
		d := distance(word, fold(candidate))
		if d < bestDistance || d == bestDistance && d <= most && candidate < best {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// fold makes alike what nearest takes as alike.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "-") }

// distance counts the edits that turn a into b: insert, delete or replace a
// byte, or swap two neighbours (Damerau and Levenshtein, each place edited
// once).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
