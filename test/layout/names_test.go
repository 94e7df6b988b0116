package layout

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Names of the code that pages mention, such as core.Dialer, exist. Only packages of
// the project are looked at, by the name of their folder.
func TestNamesInPages(t *testing.T) {
	known := map[string]map[string]bool{} // exported names of a package, by its name
	for _, s := range tree(t) {
		if s.isTest() {
			continue
		}
		pkg := s.file.Name.Name
		if known[pkg] == nil {
			known[pkg] = map[string]bool{}
		}
		for _, n := range exported(s.file) {
			known[pkg][n.name] = true
		}
	}
	mention := regexp.MustCompile(`\b([a-z][a-z0-9]*)\.([A-Z][A-Za-z0-9]*)\b`)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".md" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		for _, m := range mention.FindAllStringSubmatch(string(text), -1) {
			pkg, word := m[1], m[2]
			if pkg == "stream" || pkg == "wire" || pkg == "tls" || pkg == "http" || pkg == "plugin" { // names of variables and of the standard library too
				continue
			}
			if names := known[pkg]; names != nil && !names[word] {
				t.Errorf("%s mentions %s, which package %s does not have", name, strings.Join(m[1:], "."), pkg)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
