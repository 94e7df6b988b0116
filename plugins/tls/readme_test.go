package tls

import (
	_ "embed"
	"reflect"
	"strings"
	"testing"
)

//go:embed README.md
var readme string

// readmeCommands returns the shell blocks of the README.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	var commands []string
	for i, block := range strings.Split(readme, "```") {
		if text, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			commands = append(commands, text)
		}
	}
	return commands
}

// The table of options has each option, in order, with its default.
func TestReadmeListsOptions(t *testing.T) {
	rest := readme
	for field := range reflect.TypeFor[Options]().Fields() {
		key := field.Tag.Get("toml")
		if key == "" {
			continue
		}
		_, after, ok := strings.Cut(rest, "\n| `"+key+"` |")
		if !ok {
			t.Errorf("no row for %s after the one before it", key)
			continue
		}
		row, _, _ := strings.Cut(after, "\n")
		if def := field.Tag.Get("default"); def != "" && !strings.Contains(row, "`\""+def+"\"`") {
			t.Errorf("%s: got row %q, want default %s in it", key, row, def)
		}
		rest = after
	}
}
