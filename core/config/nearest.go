package config

import (
	"cmp"
	"slices"
	"strings"
)

// maxGuesses bounds the candidates that one Parse compares to wrong names, so
// that a file of nothing but wrong names is still read in no time.
const maxGuesses = 200_000

// maxBegun is how many candidates that begin with a wrong name are listed. Of more,
// none is likely.
const maxBegun = 8

// DidYouMean returns "; did you mean a, b or c?" for the candidates that the writer of
// word most likely meant, or "". Configuration files and command lines share it.
func DidYouMean(word string, candidates []string) string {
	near := nearest(word, candidates)
	if len(near) == 0 {
		near = begun(word, candidates)
	}
	if len(near) == 0 {
		return ""
	}
	for i := range near {
		near[i] = show(near[i])
	}
	return "; did you mean " + OneOf(near) + "?"
}

// OneOf joins alternatives: "a", "a or b", "a, b or c".
func OneOf(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// guess returns the one candidate that the writer of word most likely meant, or "".
func (c *checker) guess(word string, candidates []string) string {
	if c.guesses -= len(candidates); c.guesses < 0 {
		return ""
	}
	if near := nearest(word, candidates); len(near) > 0 {
		return near[0]
	}
	if near := begun(word, candidates); len(near) == 1 {
		return near[0]
	}
	return ""
}

// didYouMean is DidYouMean within the bound of maxGuesses.
func (c *checker) didYouMean(word string, candidates []string) string {
	if c.guesses -= len(candidates); c.guesses < 0 {
		return ""
	}
	return DidYouMean(word, candidates)
}

// nearest returns the candidates with the fewest edits from word, two at the most (one
// for a short word), in alphabetical order. Upper and lower case are alike, and so are
// - and _. Two edits are not both at the beginning: nobody writes server for observer.
func nearest(word string, candidates []string) []string {
	word = fold(word)
	fewest := 2
	if len(word) <= 4 {
		fewest = 1
	}
	if len(word) > 64 {
		return nil
	}
	var near []string
	for _, candidate := range candidates {
		if d := len(candidate) - len(word); d > fewest || d < -fewest {
			continue
		}
		d := distance(word, fold(candidate))
		if d == 2 && !beginAlike(word, fold(candidate)) {
			continue
		}
		if d < fewest {
			fewest, near = d, nil
		}
		if d == fewest {
			near = append(near, candidate)
		}
	}
	slices.Sort(near)
	return slices.Compact(near)
}

// beginAlike reports whether the first letter of one word is among the first two of the
// other.
func beginAlike(a, b string) bool {
	return a != "" && b != "" && (strings.IndexByte(b[:min(2, len(b))], a[0]) >= 0 || strings.IndexByte(a[:min(2, len(a))], b[0]) >= 0)
}

// begun returns the candidates that begin with word, up to maxBegun, in alphabetical
// order. It returns nil if there are more.
func begun(word string, candidates []string) []string {
	if word = fold(word); word == "" {
		return nil
	}
	var all []string
	for _, candidate := range candidates {
		if strings.HasPrefix(fold(candidate), word) {
			all = append(all, candidate)
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > maxBegun {
		return nil
	}
	return all
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
