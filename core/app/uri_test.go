package app

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// A drawn code has the modules of the code, and the margin that readers need.
func TestBlocks(t *testing.T) {
	code, err := qr.Encode("ss://YWVzLTI1Ni1nY206cHc@192.0.2.1:8388#home", qr.M)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string // of modules, as characters
	for line := range strings.Lines(blocks(code)) {
		line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "\x1b[30;107m"), "\x1b[0m")
		var above, below strings.Builder
		for _, r := range line {
			above.WriteByte(map[rune]byte{'█': '#', '▀': '#', '▄': '.', ' ': '.'}[r])
			below.WriteByte(map[rune]byte{'█': '#', '▀': '.', '▄': '#', ' ': '.'}[r])
		}
		rows = append(rows, above.String(), below.String())
	}
	if want := code.Size + 2*quiet; len(rows) < want {
		t.Fatalf("%d rows, want %d", len(rows), want)
	}
	for y, row := range rows {
		if len(row) != code.Size+2*quiet {
			t.Fatalf("row %d has %d modules, want %d", y, len(row), code.Size+2*quiet)
		}
		for x := range len(row) {
			inside := x >= quiet && y >= quiet && x < quiet+code.Size && y < quiet+code.Size
			if want := inside && code.Black(x-quiet, y-quiet); (row[x] == '#') != want {
				t.Fatalf("module %d, %d: got %c", x, y, row[x])
			}
		}
	}
}
