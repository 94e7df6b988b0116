package plugins_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/plan"
)

// blocks returns the code blocks of a language in a page.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	if found == nil {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return found
}

// TestPageFiles checks the files in README.md and docs/guide.md, as umbra check does.
func TestPageFiles(t *testing.T) {
	files := append(blocks(t, "../README.md", "toml"), blocks(t, "../docs/guide.md", "toml")...)
	t.Chdir(t.TempDir())
	t.Setenv("PARIS_PASSWORD", "correct horse battery staple")
	for name, text := range map[string]string{
		"password.txt": "correct horse battery staple\n",
		"identity.txt": "aWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWk=\n",
		"users.json":   `{"alice": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range files {
		f, err := config.Parse("README.md", []byte(text), standard())
		if err != nil {
			t.Errorf("%v\nin\n%s", err, text)
			continue
		}
		for _, w := range f.Warnings {
			t.Errorf("got the warning %s\nin\n%s", w.Error(), text)
		}
		if err := engine.Check(standard(), f, slog.New(failOnLog(t))); err != nil {
			t.Errorf("%v\nin\n%s", err, text)
		}
	}
}

// TestPageDrawing finds the drawing in docs/guide.md in what umbra explain draws of
// the first file there.
func TestPageDrawing(t *testing.T) {
	files := blocks(t, "../docs/guide.md", "toml")
	f, err := config.Parse("guide.md", []byte(files[0]), standard())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if err := engine.Explain(&got, plan.Of(f)); err != nil {
		t.Fatal(err)
	}
	if want := blocks(t, "../docs/guide.md", "text")[0]; !strings.Contains(got.String(), want) {
		t.Errorf("got\n%s\nwant in it\n%s", got.String(), want)
	}
}

// TestLinks finds links of the pages to files that do not exist.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md", "example/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}

// TestDependencies compares docs/dependencies.md with go.mod.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require |\t)(\S+) v\S+`).FindAllStringSubmatch(string(mod), -1) {
		required[m[1]] = true
		if !strings.Contains(string(page), "\n| `"+m[1]+"` |") {
			t.Errorf("docs/dependencies.md has no line for %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\|").FindAllStringSubmatch(string(page), -1) {
		if !required[m[1]] {
			t.Errorf("docs/dependencies.md has %s, which is not in go.mod", m[1])
		}
	}
}

// TestKindPages checks the files in the pages of resolvers, as umbra check does.
func TestKindPages(t *testing.T) {
	pages, err := filepath.Glob("../resolver/*/README.md")
	if err != nil || len(pages) < 4 {
		t.Fatalf("got %v, %v, want a page for each resolver", pages, err)
	}
	for _, page := range pages {
		for _, text := range blocks(t, page, "toml") {
			f, err := config.Parse(page, []byte(text), standard())
			if err != nil {
				t.Errorf("%v\nin\n%s", err, text)
				continue
			}
			if err := engine.Check(standard(), f, slog.New(failOnLog(t))); err != nil {
				t.Errorf("%v\nin\n%s", err, text)
			}
		}
	}
}
