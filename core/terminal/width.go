package terminal

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Width returns how many columns a text takes on a terminal.
func Width(text string) int {
	n := 0
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if r < 0x300 { // the first combining mark
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Fit returns a text that takes exactly that many columns: with spaces behind it, or cut off.
// A text that was cut ends in "~".
func Fit(text string, columns int) string {
	if columns <= 0 {
		return ""
	}
	if n := Width(text); n <= columns {
		return text + strings.Repeat(" ", columns-n)
	}
	n := 0
	for i, r := range text {
		w := runeWidth(r)
		if n+w > columns-1 {
			return text[:i] + "~" + strings.Repeat(" ", columns-1-n)
		}
		n += w
	}
	return text
}
