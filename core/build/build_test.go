package build

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func TestParsePlugin(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Plugin
		err  string
	}{
		{"example.net/mine", Plugin{path: "example.net/mine", version: "latest"}, ""},
		{"example.net/mine@v1.2.3", Plugin{path: "example.net/mine", version: "v1.2.3"}, ""},
		{"example.net/mine/v2/sub@main", Plugin{path: "example.net/mine/v2/sub", version: "main"}, ""},
		{"example.net/mine=.", Plugin{path: "example.net/mine", folder: "."}, ""},
		{"mine=../a folder@home=here", Plugin{path: "mine", folder: "../a folder@home=here"}, ""},
		{`mine=C:\mine`, Plugin{path: "mine", folder: `C:\mine`}, ""},
		{"", Plugin{}, "invalid import path"},
		{"./mine", Plugin{}, "PACKAGE=./mine"},
		{"../mine=x", Plugin{}, "is a folder"},
		{"/mine", Plugin{}, "PACKAGE=/mine"},
		{`mine\sub`, Plugin{}, "is a folder"},
		{"=mine", Plugin{}, "invalid import path"},
		{"@v1", Plugin{}, "invalid import path"},
		{"-x=mine", Plugin{}, "invalid import path"},
		{"a/../b", Plugin{}, "invalid import path"},
		{"a//b", Plugin{}, "invalid import path"},
		{"a/b/", Plugin{}, "invalid import path"},
		{"a b", Plugin{}, "invalid import path"},
		{"a\"b", Plugin{}, "invalid import path"},
		{"a@", Plugin{}, "no version"},
		{"a=", Plugin{}, "no folder"},
		{"a@v1=b", Plugin{}, "not both"},
	} {
		got, err := parsePlugin(tc.text)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: got %+v, %v, want %+v and %q", tc.text, got, err, tc.want, tc.err)
		}
	}
}

// FuzzParsePlugin generates the program of every accepted plugin: no value may break out of
// its place in the source.
func FuzzParsePlugin(f *testing.F) {
	for _, text := range []string{"example.net/mine", "example.net/mine@v1.2.3", "mine=./folder", "a@v1=b", "/x", "a\"\nimport \"b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlugin(text)
		if err != nil {
			return
		}
		if p.local() == (p.version != "") {
			t.Errorf("%q: got %+v, want a version or a folder", text, p)
		}
		source := (&program{plugins: []Plugin{p}}).mainGo()
		file, err := parser.ParseFile(token.NewFileSet(), "main.go", source, parser.ImportsOnly)
		if err != nil {
			t.Fatalf("%q: %v in\n%s", text, err, source)
		}
		if got := file.Imports[2].Path.Value; len(file.Imports) != 3 || got != strconv.Quote(p.path) {
			t.Errorf("%q: got %d imports, the last %s, want 3 and %q", text, len(file.Imports), got, p.path)
		}
	})
}

func TestProgramFiles(t *testing.T) {
	for _, tc := range []struct {
		name    string
		p       program
		version string
		want    string
	}{
		{
			"published", program{umbra: goModule{}, version: "v1.2.0", plugins: []Plugin{{path: "a.b/c", version: "v1.0.0"}}}, "go1.26.8",
			"module umbra-build\n\ngo 1.26.8\n\nrequire (\n\tgithub.com/umbra-proxy/umbra v1.2.0\n)\n",
		},
		{
			"folders", program{umbra: goModule{Module, "/src/umbra"}, modules: []goModule{{"a.b/c", "/a folder"}}}, "go1.27rc1 X:some",
			"module umbra-build\n\ngo 1.27rc1\n\nrequire (\n\tgithub.com/umbra-proxy/umbra v0.0.0\n\ta.b/c v0.0.0\n)\n\n" +
				"replace (\n\tgithub.com/umbra-proxy/umbra => \"/src/umbra\"\n\ta.b/c => \"/a folder\"\n)\n",
		},
		{
			"a go of one's own", program{umbra: goModule{}, version: "v1.2.0"}, "devel go1.28-abc",
			"module umbra-build\n\ngo 1.26\n\nrequire (\n\tgithub.com/umbra-proxy/umbra v1.2.0\n)\n",
		},
	} {
		if got := tc.p.goMod(tc.version); got != tc.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
}

// The checksums are those of all folders, without duplicates.
func TestProgramSums(t *testing.T) {
	folder := func(text string) string {
		at := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(at, "go.sum"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return at
	}
	p := program{
		umbra:   goModule{Module, folder("a v1 h1:x\nb v1 h1:y\n")},
		modules: []goModule{{"m", folder("b v1 h1:y\r\nc v1 h1:z")}, {"n", folder("")}},
	}
	got, err := p.goSum()
	if want := "a v1 h1:x\nb v1 h1:y\nc v1 h1:z\n"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestProgramAdd(t *testing.T) {
	own := goModule{Module, "/umbra"}
	for _, tc := range []struct {
		name  string
		umbra goModule
		add   []goModule
		count int
		err   string
	}{
		{"one folder twice", own, []goModule{{"a", "/a"}, {"a", "/a"}, {"b", "/b"}}, 2, ""},
		{"two folders", own, []goModule{{"a", "/a"}, {"a", "/b"}}, 1, "in two folders, /a and /b"},
		{"umbra's own", own, []goModule{own}, 0, ""},
		{"another checkout", own, []goModule{{Module, "/other"}}, 0, "is in /other, and --source is /umbra"},
		{"no checkout", goModule{}, []goModule{own}, 0, "needs --source /umbra"},
	} {
		p := program{umbra: tc.umbra}
		var err error
		for _, m := range tc.add {
			err = errors.Join(err, p.add(m))
		}
		if len(p.modules) != tc.count || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got %v, %v, want %d modules and %q", tc.name, p.modules, err, tc.count, tc.err)
		}
	}
}

func TestPublished(t *testing.T) {
	mod := func(path, version string, replace *debug.Module) debug.Module {
		return debug.Module{Path: path, Version: version, Replace: replace}
	}
	dep := func(version string, replace *debug.Module) []*debug.Module {
		m := mod(Module, version, replace)
		return []*debug.Module{{Path: "x", Version: "v9.0.0"}, &m}
	}
	for _, tc := range []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"release", debug.BuildInfo{Main: mod(Module, "v1.2.0", nil)}, "v1.2.0"},
		{"checkout", debug.BuildInfo{Main: mod(Module, "(devel)", nil)}, ""},
		{"changed checkout", debug.BuildInfo{Main: mod(Module, "v1.2.0+dirty", nil)}, ""},
		{"no version", debug.BuildInfo{Main: mod(Module, "", nil)}, ""},
		{"someone's program", debug.BuildInfo{Main: mod("y", "v3.0.0", nil), Deps: dep("v1.2.0", nil)}, "v1.2.0"},
		{"with a checkout", debug.BuildInfo{Main: mod("y", "(devel)", nil), Deps: dep("v0.0.0", &debug.Module{Path: "/umbra", Version: "(devel)"})}, ""},
		{"another program", debug.BuildInfo{Main: mod("y", "v3.0.0", nil)}, ""},
	} {
		if got := published(&tc.info); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestCompareKinds(t *testing.T) {
	reg := new(core.Registry)
	for _, name := range []string{"direct", "old"} {
		core.Add(&reg.Outbound, name, func(core.Env, struct{}) (core.Outbound, error) { return nil, nil })
	}
	theirs := "outbound   reaches the target\n  direct   straight\n  mine     new: other\n\ncipher     x\n  box      y\n\npipeline   z\n  none     w\n"
	if got, want := parseKinds(theirs), []string{"outbound.direct", "outbound.mine", "cipher.box"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	want := "new: outbound.mine\nnew: cipher.box\nmissing: outbound.old, which this program has; add its --with\n"
	if got := compareKinds(reg, theirs); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExplainStart(t *testing.T) {
	exit := errors.New("exit status 2")
	for _, tc := range []struct{ stderr, want string }{
		{"panic: core: kind \"box\" is registered twice\n\ngoroutine 1 [running]:", `kind "box" is registered twice`},
		{"panic: other\n", "fails at \"umbra version\": exit status 2; its output:\npanic: other"},
		{"", "fails at \"umbra version\": exit status 2"},
	} {
		if got := explainStart("version", tc.stderr, exit).Error(); !strings.Contains(got, tc.want) {
			t.Errorf("%q: got %q, want %q in it", tc.stderr, got, tc.want)
		}
	}
}

// A program for another system is delivered without being run.
func TestDeliverForeign(t *testing.T) {
	folder := t.TempDir()
	binary, output := filepath.Join(folder, "built"), filepath.Join(folder, "umbra")
	if err := os.WriteFile(binary, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	a := &Builder{Stdout: &stdout, Registry: new(core.Registry)}
	if err := a.deliver(context.Background(), binary, output, &toolchain{os: "plan9", arch: runtime.GOARCH}); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%s: for plan9/%s, so it was not run here\n", output, runtime.GOARCH); stdout.String() != want {
		t.Errorf("got %q, want %q", stdout.String(), want)
	}
	if text, err := os.ReadFile(output); string(text) != "no program" || err != nil {
		t.Errorf("got %q, %v, want what was built", text, err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, ".umbra*")); len(left) > 0 || err != nil {
		t.Errorf("left over: %v, %v", left, err)
	}
	if err := a.deliver(context.Background(), binary, output, &toolchain{os: runtime.GOOS, arch: runtime.GOARCH}); err == nil {
		t.Error("got no error for what is no program of this system")
	}
}

// Relative folders in the output of the go command are shown as absolute paths.
func TestLineWriter(t *testing.T) {
	root := filepath.FromSlash("/src/mine")
	g := &toolchain{folder: filepath.FromSlash("/tmp/umbra-build-1")}
	g.showFolders([]goModule{{path: "a"}, {"b", root}})
	var b strings.Builder
	w := &lineWriter{to: &b, places: g.places}
	for _, part := range []string{"# b\n..", "/../src/mi", "ne/x.go:1:2: bad\n", "./main.go:1: worse"} {
		if n, err := w.Write([]byte(filepath.FromSlash(part))); n != len(part) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	w.flush()
	if want := filepath.FromSlash("# b\n" + root + "/x.go:1:2: bad\n./main.go:1: worse"); b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
