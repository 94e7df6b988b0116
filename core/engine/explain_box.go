package engine

import (
	"strings"
	"unicode/utf8"
)

// boxWidth is the width of a drawing in characters, borders and all. Boxes of
// branches are narrower by their margin, as long as minWidth is left.
const (
	boxWidth = 88
	minWidth = 40
)

// width returns the width of a box here.
func (d *drawing) width() int { return max(minWidth, boxWidth-utf8.RuneCountInString(d.margin)) }

// box draws a box with a title in its upper border, a line of text and a table.
func (d *drawing) box(title, help string, rows []row) {
	width := d.width()
	inside := width - 4 // without the borders and a space beside each
	title = clip(title, inside-4)
	d.line("┌─ %s %s┐", title, strings.Repeat("─", width-5-utf8.RuneCountInString(title)))
	for _, text := range wrap(help, inside) {
		d.inBox(text)
	}
	column := 0 // where values begin
	for _, r := range rows {
		column = max(column, 2+2*r.depth+utf8.RuneCountInString(r.key)+2)
	}
	for _, r := range rows {
		left := strings.Repeat("  ", 1+r.depth) + r.key
		for _, text := range wrap(r.value, max(16, inside-column)) {
			d.inBox(pad(left, column) + text)
			left = ""
		}
	}
	d.line("└%s┘", strings.Repeat("─", width-2))
}

// inBox writes a line between the borders.
func (d *drawing) inBox(text string) { d.line("│ %s │", pad(text, d.width()-4)) }

// pad fills s with spaces to a width in characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// clip cuts s to a width in characters.
func clip(s string, width int) string {
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return s
}

// wrap breaks s at spaces into lines of at most width characters; a longer word
// is broken where the line is full.
func wrap(s string, width int) []string {
	var lines []string
	line := []rune{}
	for word := range strings.FieldsSeq(s) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) <= width {
			line = append(append(line, ' '), w...)
			continue
		}
		if len(line) > 0 {
			lines = append(lines, string(line))
		}
		for len(w) > width {
			lines = append(lines, string(w[:width]))
			w = w[width:]
		}
		line = w
	}
	if len(line) > 0 {
		lines = append(lines, string(line))
	}
	return lines
}
