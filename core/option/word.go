package option

import (
	"fmt"
	"slices"
	"strings"
)

// ReadWord sets into to text, which must be one of words. It is the UnmarshalText
// of a type that has a fixed set of values.
func ReadWord[T ~string](into *T, text []byte, words []string) error {
	if !slices.Contains(words, string(text)) {
		return WrongWord(string(text), words)
	}
	*into = T(text)
	return nil
}

// WrongWord returns the error for a text that is not one of words.
func WrongWord(got string, words []string) error {
	return fmt.Errorf("want one of %s, got %.60q", strings.Join(words, ", "), got)
}
