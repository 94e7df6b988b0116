// Package layout tests the structure of the tree: which folder may import which packages, and the style rules
// that a program can check.
package layout

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	maxLines      = 400 // of a file
	minDocumented = 95  // per cent of the exported names
)

// source is a Go file of the tree, for any system.
type source struct {
	name   string // with slashes, from the root of the module
	lines  int
	file   *ast.File
	nested bool // part of a separate module within the tree
}

// folder returns the folder of the file.
func (s source) folder() string { return path.Dir(s.name) }

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// imports returns the import paths of the file.
func (s source) imports() []string {
	var all []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value) // the parser has checked it
		all = append(all, p)
	}
	return all
}

// root is the folder of the module, relative to this package.
const root = "../.."

// tree parses every Go file of the module, and of the modules within it.
func tree(t *testing.T) []source {
	t.Helper()
	var all []source
	var nested []string // modules within the tree
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if hidden := name != "." && strings.HasPrefix(d.Name(), "."); hidden || d.Name() == "testdata" {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name), "go.mod")); err == nil && name != "." {
				nested = append(nested, name)
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{
			name: name, lines: bytes.Count(text, []byte("\n")), file: f,
			nested: slices.ContainsFunc(nested, func(m string) bool { return strings.HasPrefix(name, m+"/") }),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

// A nested module imports what its go.mod allows, like that of a third party. The other rules apply to it
// too.
func TestImports(t *testing.T) {
	all := rules(t)
	for _, s := range tree(t) {
		if s.isTest() || s.nested {
			continue
		}
		for _, imported := range s.imports() {
			if wrong := check(all, s.folder(), imported); wrong != "" {
				t.Errorf("%s: %s", s.name, wrong)
			}
		}
	}
}

// The modules within the tree are detected.
func TestNested(t *testing.T) {
	want := map[string]bool{"plugins/example/secretbox.go": true, "plugins/otel/otel.go": true, "test/interop/interop_test.go": true, "test/page/page_test.go": true, "plugins/standard.go": false}
	for _, s := range tree(t) {
		if nested, ok := want[s.name]; ok && s.nested != nested {
			t.Errorf("%s: got nested %t, want %t", s.name, s.nested, nested)
		}
		delete(want, s.name)
	}
	for name := range want {
		t.Errorf("%s is not in the tree", name)
	}
}

// No code runs before main: kinds are registered explicitly by plugins.Standard.
func TestNoInit(t *testing.T) {
	for _, s := range tree(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init; pass a value instead", s.name)
			}
		}
	}
}

// No method is looked up by a name that is not a constant, or by its number: the linker
// would keep every exported method of every type, which makes the program half as
// large again.
func TestNoReflectedMethods(t *testing.T) {
	for _, s := range tree(t) {
		if s.isTest() || strings.HasPrefix(s.name, "test/") || strings.HasSuffix(s.folder(), "test") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			_, constant := call.Args[0].(*ast.BasicLit)
			if ok && (f.Sel.Name == "Method" || f.Sel.Name == "MethodByName" && !constant) {
				t.Errorf("%s: a call of %s with a variable", s.name, f.Sel.Name)
			}
			return true
		})
	}
}

// No file of the program imports the templates of the standard library: they look methods
// up by name, so the linker would keep every exported one.
func TestNoTemplates(t *testing.T) {
	for _, s := range tree(t) {
		if s.isTest() || strings.HasPrefix(s.name, "test/") {
			continue
		}
		for _, imported := range s.imports() {
			if imported == "html/template" || imported == "text/template" {
				t.Errorf("%s imports %s, which adds megabytes to the program", s.name, imported)
			}
		}
	}
}

func TestFileLength(t *testing.T) {
	for _, s := range tree(t) {
		if s.lines > maxLines {
			t.Errorf("%s has %d lines, want at most %d; split it by ideas", s.name, s.lines, maxLines)
		}
	}
}

// Each folder of a kind has a README.md. The kinds are the imports of plugins.
func TestReadmes(t *testing.T) {
	kinds := map[string]bool{}
	for _, s := range tree(t) {
		if s.folder() != "plugins" || s.isTest() {
			continue
		}
		for _, imported := range s.imports() {
			if folder, ours := strings.CutPrefix(imported, module+"/"); ours && folder != "core" {
				kinds[folder] = true
			}
		}
	}
	if len(kinds) == 0 {
		t.Fatal("plugins imports no kinds")
	}
	for folder := range kinds {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(folder), "README.md")); err != nil {
			t.Errorf("the kind in %s has no README.md: %v", folder, err)
		}
	}
}

// The exported names of all packages have doc comments.
func TestDocumented(t *testing.T) {
	count, bare := 0, []string(nil)
	for _, s := range tree(t) {
		if s.isTest() {
			continue
		}
		for _, n := range exported(s.file) {
			if count++; !n.documented {
				bare = append(bare, s.name+" "+n.name)
			}
		}
	}
	if covered := 100 * (count - len(bare)) / count; covered < minDocumented {
		slices.Sort(bare)
		t.Errorf("%d of %d exported names have a comment: %d %%, want %d %%. These have none:\n%s",
			count-len(bare), count, covered, minDocumented, strings.Join(bare, "\n"))
	}
}

// Each package says in one place what it is.
func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	for _, s := range tree(t) {
		if s.isTest() {
			continue
		}
		n := comments[s.folder()]
		if s.file.Doc != nil {
			n++
		}
		comments[s.folder()] = n
	}
	for folder, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", folder, n)
		}
	}
}

// The comment of an exported name begins with it, perhaps after an article. After a
// rename it would speak of something that does not exist.
func TestCommentsBeginWithName(t *testing.T) {
	for _, s := range tree(t) {
		if s.isTest() {
			continue
		}
		for _, n := range exported(s.file) {
			words := strings.Fields(n.comment)
			if len(words) > 1 && slices.Contains([]string{"A", "An", "The"}, words[0]) {
				words = words[1:]
			}
			if len(words) > 0 && strings.TrimRight(words[0], ".,:;") != n.name {
				t.Errorf("%s: the comment of %s begins with %q", s.name, n.name, words[0])
			}
		}
	}
}

// exportedName is an exported top-level name.
type exportedName struct {
	name       string
	documented bool
	comment    string // of its own, not of its group
}

// exported returns the exported top-level names of a file. A method counts like a function, unless its type is
// not exported. A constant or variable counts as documented by a comment on its line or on its group.
func exported(f *ast.File) []exportedName {
	var all []exportedName
	add := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() {
			documented := slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil })
			all = append(all, exportedName{name.Name, documented, docs[0].Text()})
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || receiver(d.Recv.List[0].Type).IsExported() {
				add(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					own := spec.Doc
					if !d.Lparen.IsValid() {
						own = d.Doc
					}
					add(spec.Name, own, d.Doc)
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						add(n, spec.Doc, spec.Comment, d.Doc)
					}
				}
			}
		}
	}
	return all
}

// receiver returns the name of a method's type.
func receiver(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e
	}
	return ast.NewIdent("_")
}
