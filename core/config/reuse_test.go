package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/umbra-proxy/umbra/core"
)

// TestReuse loads the main.toml of each archive in testdata/reuse, and compares what is
// said of it with the archive's last file, want.
func TestReuse(t *testing.T) {
	archives, err := filepath.Glob("testdata/reuse/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("got %d archives, %v", len(archives), err)
	}
	t.Setenv("UMBRA_TEST_SERVER", "paris.example.net:8388")
	t.Setenv("UMBRA_TEST_WORD", "hunter2")
	t.Setenv("UMBRA_TEST_NUMBER", "12")
	t.Setenv("UMBRA_TEST_EMPTY", "")
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			path, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			want := ""
			files := a.Files[:0:0]
			for _, f := range a.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				files = append(files, f)
				writeFile(t, f.Name, f.Data)
			}
			got := strings.ReplaceAll(report(Load("main.toml", kinds())), `\`, "/")
			if *update {
				a.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// writeFile writes a file that its user alone may read, in directories that it makes.
func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLoadText includes files that are relative to the working directory.
func TestLoadText(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "teams/a.toml", []byte("[policy.all]\nwindow = 5\n"))
	text := "process.include = [\"teams/*.toml\"]\n" + pipeline
	_, err := LoadText("stdin", []byte(text), kinds())
	if want := "teams/a.toml:2:10: policy.all.window: want a string such as \"30s\", got an integer"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// Parse does not look for them.
	f, err := Parse("x", []byte(text+"[policy.all]\n"), kinds())
	if got, want := report(f, err), "ok\nwarning: x:1:20: process.include: not read: this text is taken alone\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestExposed warns of each file with secrets that every user may read, the included ones too.
func TestExposed(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "main.toml", []byte("process.include = [\"*/*.toml\"]\n[cipher.c]\nkind = \"aes-256-gcm\"\npassword = \"a secret\"\n"+strings.ReplaceAll(pipeline, "policy.all", "policy.b")))
	for name, mode := range map[string]os.FileMode{"a/1": 0o600, "b/2": 0o644, "c/3": 0o644, "d/4": 0o644} {
		text := "[policy." + name[:1] + "]\nkind = \"all\"\npassword = \"x\"\nsecrets = [\"y\"]\n"
		if name == "d/4" {
			text = ""
		}
		writeFile(t, name+".toml", []byte(text))
		if err := os.Chmod(name+".toml", mode); err != nil {
			t.Fatal(err)
		}
	}
	got := report(Load("main.toml", kinds()))
	for _, name := range []string{"main.toml", "a/1.toml", "b/2.toml", "c/3.toml", "d/4.toml"} {
		want := name == "b/2.toml" || name == "c/3.toml"
		if strings.Contains(got, "warning: "+name+":3:12: policy."+name[:1]+".password: every user") != want || strings.Count(got, "every user") != 2 {
			t.Errorf("%s: got a warning: %t, want %t\n%s", name, !want, want, got)
		}
	}
}

// TestIncludeBounds has more files, and larger ones, than a configuration may have.
func TestIncludeBounds(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "main.toml", []byte("process.include = [\"many/*\"]\n"+pipeline+"[policy.all]\n"))
	for i := range maxFiles - 1 {
		writeFile(t, fmt.Sprintf("many/%04d", i), nil)
	}
	if got := report(Load("main.toml", kinds())); got != "ok\n" {
		t.Errorf("%d files: got %s, want ok", maxFiles, got)
	}
	writeFile(t, "many/more", nil)
	want := "main.toml:1:20: process.include: more than 1024 files in all\n"
	if got := report(Load("main.toml", kinds())); got != want {
		t.Errorf("%d files: got %s, want %s", maxFiles+1, got, want)
	}
	writeFile(t, "main.toml", []byte("process.include = [\"large/*\"]\n"+pipeline+"[policy.all]\n"))
	for i := range maxTotalSize / MaxSize {
		writeFile(t, fmt.Sprintf("large/%d", i), []byte(strings.Repeat("#", MaxSize)))
	}
	want = "main.toml:1:20: process.include: with large/3 all files together are larger than 16 MiB\n"
	if got := report(Load("main.toml", kinds())); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestProblemOfIncluded places what building finds in the file that has the table.
func TestProblemOfIncluded(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "main.toml", []byte("process.include = [\"teams/*.toml\"]\n"+pipeline))
	writeFile(t, "teams/a.toml", []byte("[policy.all]\nlist = [\n  \"a\",\n  \"b\",\n]\n[outbound.ss]\nserver = \"x:1\"\ncipher = \"c\"\n[cipher.c]\nkind = \"aes-256-gcm\"\n"+
		"[inbound.far]\nkind = \"socks5\"\nlisten = \":2\"\n[pipeline.q]\nchain = [\"inbound.far\",\n  \"outbound.ss\"]\n"))
	f, err := Load("main.toml", kinds())
	if err != nil {
		t.Fatal(err)
	}
	got := f.Problem(ID{core.SectionPolicy, "all"}, core.BadOption("list.1", "odd")).Error()
	if want := "teams/a.toml:4:3: policy.all.list: odd"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = f.ChainProblem("q", 1, core.BadOption("", "odd")).Error()
	if want := "teams/a.toml:16:3: pipeline.q.chain: "; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestReuseIsPlain builds equal files of a configuration that is written plainly, and of one
// with includes, variables and likeness.
func TestReuseIsPlain(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("UMBRA_TEST_SERVER", "paris.example.net:8388\r\n")
	t.Setenv("UMBRA_TEST_NUMBER", "12")
	writeFile(t, "plain.toml", []byte(`
log.level = "warn"
[pipeline.a]
chain = ["inbound.socks5", "policy.all", "outbound.paris"]
idle_timeout = "1m"
[pipeline.b]
chain = ["inbound.second", "policy.other", "outbound.tokyo", "outbound.direct"]
[inbound.socks5]
listen = "127.0.0.1:1"
[inbound.second]
kind = "socks5"
listen = "127.0.0.1:2"
[policy.all]
int = 12
flag = false
list = ["a", "12"]
limits = { one = 1, two = 2 }
tuning = { name = "x", inner = { depth = 9 } }
password = "a secret"
[policy.other]
kind = "all"
int = 13
flag = false
list = ["a", "12"]
limits = { three = 3 }
tuning = { name = "x", inner = { depth = 9 } }
password = "a secret"
[outbound.paris]
kind = "ss"
server = "paris.example.net:8388"
cipher = "house"
[outbound.tokyo]
kind = "ss"
server = "tokyo.example.net:8388"
cipher = "house"
[outbound.direct]
[cipher.house]
kind = "aes-256-gcm"
`))
	writeFile(t, "main.toml", []byte(`
process.include = ["teams/*.toml", { env = "UMBRA_TEST_UNSET", default = "servers.toml" }]
log.level = { env = "UMBRA_TEST_UNSET", default = "warn" }
[pipeline.a]
chain = ["inbound.socks5", { env = "UMBRA_TEST_UNSET", default = "policy.all" }, "outbound.paris"]
idle_timeout = { env = "UMBRA_TEST_UNSET", default = "1m" }
[inbound.socks5]
listen = "127.0.0.1:1"
[inbound.second]
listen = "127.0.0.1:2"
like = "socks5"
[policy.other]
like = "all"
int = 13
limits.three = 3
`))
	writeFile(t, "teams/b.toml", []byte(`
[pipeline.b]
chain = ["inbound.second", "policy.other", "outbound.tokyo", "outbound.direct"]
[policy.all]
int = { env = "UMBRA_TEST_NUMBER" }
flag = { env = "UMBRA_TEST_UNSET", default = false }
list = ["a", { env = "UMBRA_TEST_NUMBER" }]
limits = { one = 1, two = 2 }
tuning = { name = "x", inner = { depth = 9 } }
password = { env = "UMBRA_TEST_UNSET", default = "a secret" }
[outbound.tokyo]
like = "paris"
server = "tokyo.example.net:8388"
`))
	writeFile(t, "servers.toml", []byte(`
[outbound.paris]
kind = "ss"
server = { env = "UMBRA_TEST_SERVER" }
cipher = "house"
[outbound.direct]
[cipher.house]
kind = "aes-256-gcm"
`))
	plain, err := Load("plain.toml", kinds())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load("main.toml", kinds())
	if err != nil {
		t.Fatal(err)
	}
	if got.Log != plain.Log || !reflect.DeepEqual(got.Admin, plain.Admin) || len(got.Pipelines) != len(plain.Pipelines) || len(got.Components) != len(plain.Components) {
		t.Errorf("got %+v, want %+v", got, plain)
	}
	for i, p := range got.Pipelines {
		if want := plain.Pipelines[i]; p.Name != want.Name || p.PipelineOptions != want.PipelineOptions || !reflect.DeepEqual(p.Chain, want.Chain) {
			t.Errorf("got %+v, want %+v", p, want)
		}
	}
	for id, c := range got.Components {
		want := plain.Components[id]
		if want == nil || c.Kind != want.Kind || !reflect.DeepEqual(c.Options, want.Options) || !reflect.DeepEqual(c.Refs, want.Refs) || !reflect.DeepEqual(c.Description, want.Description) {
			t.Errorf("%s: got %+v, want %+v", id, c, want)
		}
	}
}

// TestLikeBounds has chains and values of more tables than there may be.
func TestLikeBounds(t *testing.T) {
	chain := func(n int) string {
		text := pipeline + "[policy.all]\n[policy.p0]\nkind = \"all\"\n"
		for i := range n - 1 {
			text += fmt.Sprintf("[policy.p%d]\nlike = \"p%d\"\n", i+1, i)
		}
		return strings.Replace(text, `"policy.all"`, fmt.Sprintf(`"policy.all", "policy.p%d"`, n-1), 1)
	}
	wide := "[policy.all]\nints = [1" + strings.Repeat(",1", maxLikeness/10) + "]\n" + pipeline
	for i := range 11 {
		wide += fmt.Sprintf("[policy.p%d]\nlike = \"all\"\nkind = \"all\"\n", i)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"the longest chain", chain(maxLikes), "ok"},
		{"a longer chain", chain(maxLikes + 3), "x:41:8: policy.p16.like: more than 16 tables that are like one another"},
		{"values", wide, "x:37:8: policy.p9.like: more than 1000000 values by like, in all tables together"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Parse("x", []byte(tc.text), kinds())
			if got, _, _ := strings.Cut(report(f, err), "\n"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// TestProblemOfLike places what building finds in a value that two tables have by like,
// once.
func TestProblemOfLike(t *testing.T) {
	f := parse(t, pipeline+"[policy.all]\nlist = [\"a\"]\n[policy.heir]\nlike = \"all\"\ntext = \"b\"\n")
	var all []Problem
	for _, name := range []string{"all", "heir"} {
		id := ID{core.SectionPolicy, name}
		all = append(all, f.Problem(id, core.BadOption("list.0", "odd")), f.Problem(id, core.BadOption("text", "odd too")))
	}
	want := "x:7:1: policy.all.text: odd too\nx:8:9: policy.all.list: odd\nx:11:8: policy.heir.text: odd too"
	if err := Join(all...); err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
