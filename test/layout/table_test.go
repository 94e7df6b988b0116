package layout

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path of this module.
const module = "github.com/umbra-proxy/umbra"

// page contains the table of permitted imports, in a block that begins with "```imports". A line has a folder,
// with "*" for any one name, and the imports of its package that are permitted in addition to the standard
// library: folders of the project and modules of third parties. The first line that matches a folder applies.
// Tests may import everything.
const page = "docs/architecture.md"

// rule is one line of the table.
type rule struct {
	folder  string
	allowed []string
}

// rules reads the table.
func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n```imports\n")
	table, _, ended := strings.Cut(table, "\n```\n")
	if !found || !ended {
		t.Fatalf("%s has no block ```imports", page)
	}
	var all []rule
	for line := range strings.Lines(table) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 0 {
			all = append(all, rule{fields[0], fields[1:]})
		}
	}
	return all
}

// ruleFor returns the rule for a folder.
func ruleFor(all []rule, folder string) (rule, bool) {
	i := slices.IndexFunc(all, func(r rule) bool { return matches(r.folder, folder) })
	if i < 0 {
		return rule{}, false
	}
	return all[i], true
}

func matches(pattern, folder string) bool {
	ok, _ := path.Match(pattern, folder)
	return ok
}

// check returns the reason why folder may not import a package, or "".
func check(all []rule, folder, imported string) string {
	const where = "; the table is in " + page
	r, ok := ruleFor(all, folder)
	if !ok {
		return fmt.Sprintf("%s: no line of the table matches this folder%s", folder, where)
	}
	own, ours := strings.CutPrefix(imported, module+"/")
	first, _, _ := strings.Cut(imported, "/")
	if !ours && !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for _, a := range r.allowed {
		theirs := strings.Contains(a, ".")
		if ours && matches(a, own) || theirs && (imported == a || strings.HasPrefix(imported, a+"/")) {
			return ""
		}
	}
	return fmt.Sprintf("%s imports %s: its line allows %s%s", folder, imported, strings.Join(r.allowed, " "), where)
}

func TestCheck(t *testing.T) {
	all := rules(t)
	for _, tc := range []struct {
		folder, imported string
		ok               bool
	}{
		{"core", "net/netip", true},
		{"core", "golang.org/x/sys/unix", false},
		{"core/netio", "golang.org/x/sys/unix", true},
		{"core", module + "/core/netio", false},
		{"core/netio", module + "/core/pipeline", false},
		{"core", "golang.org/x/system", false},
		{"core", module + "/core/option", false},
		{"core/option", module + "/core", true},
		{"inbound/tunnel", module + "/inbound", true},
		{"inbound/tunnel", module + "/inbound/ss", false},
		{"inbound/socks5", module + "/inbound/socks", true},
		{"inbound/socks5", module + "/inbound/httpproxy", false},
		{"inbound/socks5", module + "/outbound/ss", false},
		{"outbound/ss", module + "/cipher/aead", false},
		{"outbound/ss", "github.com/BurntSushi/toml", false},
		{"cipher/chunk", module + "/cipher/key", false},
		{"cipher/aead", module + "/cipher/key", true},
		{"plugins", module + "/inbound/ss", true},
		{"plugins", module + "/core/engine", false},
		{"policy/ban", module + "/policy/store", true},
		{"nowhere", "net", false},
	} {
		if got := check(all, tc.folder, tc.imported); (got == "") != tc.ok {
			t.Errorf("%s imports %s: got %q, want allowed %t", tc.folder, tc.imported, got, tc.ok)
		}
	}
}
