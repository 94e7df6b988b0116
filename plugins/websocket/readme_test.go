package websocket

import (
	_ "embed"
	"reflect"
	"strings"
	"testing"
)

//go:embed README.md
var readme string

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
		if def := field.Tag.Get("default"); def != "" && !strings.Contains(row, def) {
			t.Errorf("%s: got row %q, want default %s in it", key, row, def)
		}
		rest = after
	}
}
