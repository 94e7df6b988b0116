package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// block is a block of docs/plugins.md: a file, or commands.
type block struct {
	file string // its name, or ""
	text string
}

// page returns the executable blocks of docs/plugins.md, in order.
func page(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "plugins.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	for _, m := range regexp.MustCompile("(?ms)^(?:`([^`\n]+)`:\n\n)?```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		switch file, language := m[1], m[2]; {
		case file != "":
			all = append(all, block{file, m[3]})
		case language == "sh":
			all = append(all, block{"", m[3]})
		case language != "text":
			t.Errorf("a block of %s without a file name:\n%s", language, m[3])
		}
	}
	return all
}

// TestPage follows docs/plugins.md: it writes its files and runs its commands, in order, as a reader does.
// Then it runs the kits of the other kinds and builds one program with all of them.
func TestPage(t *testing.T) {
	folder := t.TempDir()
	mine := filepath.Join(folder, "mine")
	proxy, server, freePorts := ports(t)
	secret := strings.NewReplacer(`"password.txt"`, strconv.Quote(filepath.Join(mine, "password.txt"))) // umbra runs in another folder
	here := strings.NewReplacer("../umbra/bin/umbra", self(t), "../umbra", root(t))
	sum, err := os.ReadFile(filepath.Join(root(t), "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	script := "set -eux\n"
	var later []string // packages that the commands do not use
	ran := false
	for _, b := range page(t) {
		switch {
		case strings.Contains(b.text, "./umbra-mine run mine.toml\n"):
			script += strings.Replace(b.text, "./umbra-mine run mine.toml\n", "", 1)
			ran = true
		case strings.Contains(b.text, "curl "): // see carries
		case strings.Contains(b.text, "./umbra-mine probe "): // the server is not running yet
			script += strings.TrimSuffix(freePorts.Replace(b.text), "\n") + " >probe.txt 2>&1 && exit 1\n" +
				"grep 'connection refused' probe.txt\n"
		case b.file == "":
			script += here.Replace(b.text)
			if strings.Contains(b.text, "go mod init") { // so that no dependency must be downloaded
				script += heredoc("go.sum", string(sum))
			}
		case strings.Contains(b.file, "/"):
			script += "mkdir -p " + filepath.Dir(b.file) + "\n" + heredoc(b.file, b.text)
			if pkg := "example.net/mine/" + filepath.ToSlash(filepath.Dir(b.file)); !slices.Contains(later, pkg) {
				later = append(later, pkg)
			}
		default:
			script += heredoc(b.file, secret.Replace(freePorts.Replace(b.text)))
		}
	}
	if !ran || len(later) != 8 {
		t.Fatalf("the page runs its program: %t, and has the packages %v, want 8", ran, later)
	}
	script += "go vet ./...\n"
	if strconv.IntSize == 32 { // Go has no race detector there
		script = strings.ReplaceAll(script, "go test -race ", "go test ")
	}
	typed := filepath.Join(folder, "typed.sh")
	if err := os.WriteFile(typed, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	out := command(t, folder, "sh", typed)
	if !strings.Contains(out, "\nnew: cipher.aes-256-gcm-nonce-16\n") {
		t.Errorf("got\n%s\nwant the new kind in it", out)
	}
	carries(t, filepath.Join(mine, "umbra-mine"), filepath.Join(mine, "mine.toml"), proxy, server)

	args := []string{"build", "--with", "example.net/mine=.", "--source", root(t), "-o", "all"}
	for _, pkg := range later {
		args = append(args, "--with", pkg+"=."+strings.TrimPrefix(pkg, "example.net/mine"))
	}
	out = command(t, mine, self(t), args...)
	for _, kind := range []string{"cipher.aes-256-gcm-nonce-16", "outbound.connect", "outbound.daytime", "inbound.line", "transport.preface", "resolver.known", "policy.crowd", "policy.ports", "observer.statsd"} {
		if !strings.Contains(out, "\nnew: "+kind+"\n") {
			t.Errorf("got\n%s\nwant the new kind %s in it", out, kind)
		}
	}
	checksAll(t, mine)
}

// checksAll checks a file that uses all kinds with the program that has them.
func checksAll(t *testing.T, mine string) {
	t.Helper()
	file := filepath.Join(mine, "all.toml")
	if err := os.WriteFile(file, []byte(`
[pipeline.line]
chain = ["observer.statsd", "policy.crowd", "inbound.line", "policy.ports", "resolver.known", "outbound.day"]
[observer.statsd]
server = "127.0.0.1:8125"
[policy.crowd]
max = 3
[policy.ports]
[inbound.line]
listen = "127.0.0.1:1080"
mode = "tcp"
transport = ["preface"]
[transport.preface]
word = "hello"
[resolver.known]
names = { "home.test" = "127.0.0.1" }
[outbound.day]
kind = "daytime"
members = ["connect"]
[outbound.connect]
server = "127.0.0.1:3128"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := command(t, mine, "./all", "check", file); strings.Contains(out, "warning") {
		t.Errorf("got\n%s", out)
	}
}

// heredoc returns shell code that writes a file.
func heredoc(name, text string) string {
	const end = "END-OF-THE-FILE"
	return fmt.Sprintf("cat >%s <<'%s'\n%s%[2]s\n", name, end, text)
}
