package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is the path of this module.
const module = "github.com/umbra-proxy/umbra"

// table says which folder's package may import what, beside the standard
// library: folders of the project, with "*" for any one name, and modules of
// others. The first line that matches a folder holds. Tests may import what they
// like. Keep the order of the tree: what may be imported by more stands higher.
const table = `
	# The centre: contracts and the data path.
	core                golang.org/x/sys
	core/option         core
	core/journal
	core/follow
	core/coretest       core go.uber.org/goleak

	# From a file to running pipelines. Only here are toml, do and cobra known.
	core/config         core core/option github.com/BurntSushi/toml github.com/hashicorp/go-multierror
	core/engine         core core/option core/config github.com/samber/do/v2 github.com/hashicorp/go-multierror
	core/probe          core
	core/autoban        core github.com/hashicorp/golang-lru/v2
	core/app            core core/option core/config core/engine core/probe core/autoban github.com/spf13/cobra

	# What kinds of one section share.
	inbound             core core/option github.com/pires/go-proxyproto
	cipher/key          golang.org/x/crypto
	cipher/replay       core core/journal
	cipher/chunk        core
	cipher/users        core core/option core/follow
	cipher/ciphertest   core core/coretest go.uber.org/goleak
	policy/store        core core/option core/journal github.com/redis/go-redis/v9
	policy/store/*      core policy/store

	# Kinds. They import neither one another nor what reads files.
	cipher/*            core core/option cipher/key cipher/replay cipher/chunk cipher/users golang.org/x/crypto github.com/hashicorp/golang-lru/v2 lukechampine.com/blake3
	inbound/*           core core/option inbound
	outbound/*          core core/option
	resolver/*          core core/option core/follow github.com/miekg/dns github.com/hashicorp/golang-lru/v2
	policy/*            core core/option core/follow policy/store github.com/gaissmai/bart github.com/google/nftables github.com/hashicorp/golang-lru/v2 golang.org/x/time
	plugins/*           core core/option core/follow

	# The list of what ships, and the program.
	plugins             core cipher/* inbound/* outbound/* resolver/* policy/* plugins/*
	cmd/umbra           core/app plugins

	# Programs and packages that tests use.
	test/*              core core/option core/coretest golang.org/x/sys
	test/*/*            core core/option core/coretest
`

// rule is one line of the table.
type rule struct {
	folder  string
	allowed []string
}

// rules reads the table.
func rules() []rule {
	var all []rule
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			all = append(all, rule{fields[0], fields[1:]})
		}
	}
	return all
}

// ruleFor returns the rule that holds for a folder.
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

// check returns why the package in folder may not import what it does, or "".
func check(all []rule, folder, imported string) string {
	const where = "; the table is in test/layout/table_test.go"
	r, ok := ruleFor(all, folder)
	if !ok {
		return fmt.Sprintf("%s: no line says what this folder may import%s", folder, where)
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
	for _, tc := range []struct {
		folder, imported string
		ok               bool
	}{
		{"core", "net/netip", true},
		{"core", "golang.org/x/sys/unix", true},
		{"core", "golang.org/x/system", false},
		{"core", module + "/core/option", false},
		{"core/option", module + "/core", true},
		{"inbound/socks5", module + "/inbound", true},
		{"inbound/socks5", module + "/inbound/ss", false},
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
		if got := check(rules(), tc.folder, tc.imported); (got == "") != tc.ok {
			t.Errorf("%s imports %s: got %q, want allowed %t", tc.folder, tc.imported, got, tc.ok)
		}
	}
}
