package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// TestGolden compares what is said of each file in testdata with the lines in
// the .want file beside it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := report(Parse(name+".toml", data, kinds()))
			golden := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// report returns what Parse says of a file, a line each.
func report(f *File, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	text := "ok\n"
	for _, w := range f.Warnings {
		text += "warning: " + w.Error() + "\n"
	}
	return text
}

func TestProblemsOfError(t *testing.T) {
	_, err := Parse("x.toml", []byte("[log]\nlevel = 1\nformat = 2\n"), kinds())
	p, ok := errors.AsType[Problem](err)
	if want := (Problem{"x.toml", 1, 1, "", "no pipeline; write [pipeline.<name>] with a chain"}); !ok || p != want {
		t.Errorf("got %#v, want %#v", p, want)
	}
	list, ok := errors.AsType[*multierror.Error](err)
	if !ok || len(list.Errors) != 3 {
		t.Errorf("got %v, want 3 errors", list)
	}
}
