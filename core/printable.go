package core

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s with ? in place of each character that does not print, except for those
// of keep. It is for text that strangers chose, such as values from a store: a terminal
// would execute its control characters.
func Visible(s, keep string) string {
	return strings.Map(func(r rune) rune {
		if isHidden(r) && !strings.ContainsRune(keep, r) {
			return '?'
		}
		return r
	}, s)
}

// QuoteHidden returns s, as a quoted Go string if a character of it does not print.
func QuoteHidden(s string) string {
	if strings.ContainsFunc(s, isHidden) {
		return strconv.Quote(s)
	}
	return s
}

// isHidden reports whether a character does not print. What is no UTF-8 doesn't: some
// terminals execute its bytes.
func isHidden(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
