package layout

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFieldTests finds the tests that docs/field.md names, each in the folder of its line.
func TestFieldTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/field.md")
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{} // the tests of a folder, as text
	named := regexp.MustCompile("(field|siege|`[a-z0-9/]+`) `(Test[A-Za-z0-9]+)`")
	found := named.FindAllStringSubmatch(string(page), -1)
	if len(found) < 30 {
		t.Errorf("got %d tests on the page, want those of all lines", len(found))
	}
	for _, m := range found {
		folder := strings.Trim(m[1], "`")
		if !strings.Contains(m[1], "`") {
			folder = "test/" + folder
		}
		if of[folder] == "" {
			of[folder] = testsIn(t, folder)
		}
		if !strings.Contains(of[folder], "func "+m[2]+"(") {
			t.Errorf("%s has no %s", folder, m[2])
		}
	}
}

// testsIn returns the text of the test files of a folder.
func testsIn(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
