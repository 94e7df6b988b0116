// Package converttest has what the tests of all translations need.
package converttest

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/plugins"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Registry returns the kinds of the umbra program.
func Registry() *core.Registry {
	reg := &core.Registry{}
	plugins.Standard(reg)
	return reg
}

// Golden compares a text with a file.
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v; got\n%s\nwant\n%s", path, err, got, want)
	}
}

// Flags returns flags that are written as words, the value of each behind "=".
func Flags(line string) (all []convert.Flag) {
	for word := range strings.FieldsSeq(line) {
		said, value, hasValue := strings.Cut(word, "=")
		all = append(all, convert.Flag{Said: said, Value: value, Bare: !hasValue})
	}
	return all
}
