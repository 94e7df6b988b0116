package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/view"
)

func someChange() view.Change {
	return view.Change{
		Digest: "d1g35t", Kept: []string{"tcp 127.0.0.1:1080 (inbound.web)"}, Opened: []string{"tcp 127.0.0.1:1082 (inbound.more)"},
		Closed: []string{"tcp 127.0.0.1:1081 (inbound.local)"}, Added: []string{"inbound.more", "pipeline.more"}, Removed: []string{"inbound.local"},
		Changed: []view.Diff{{ID: "outbound.paris", Options: []string{"server", "cipher"}}}, Warned: []string{"umbra.toml:3:1: old"},
	}
}

const wantChange = `  keep    tcp 127.0.0.1:1080 (inbound.web)
+ open    tcp 127.0.0.1:1082 (inbound.more)
- close   tcp 127.0.0.1:1081 (inbound.local)
+ add     inbound.more
+ add     pipeline.more
- remove  inbound.local
~ change  outbound.paris: server, cipher
warning: umbra.toml:3:1: old
`

func TestApply(t *testing.T) {
	const compare, reload = "POST reload/compare", "POST reload"
	for _, tc := range []struct {
		name    string
		args    []string
		change  view.Change
		refuse  string // a path
		code    int
		out     string
		errs    string
		status  int
		applied []string
	}{
		{"yes", []string{"--yes"}, someChange(), "", 0, wantChange + "applied\n", "", 0, []string{"d1g35t"}},
		{"no terminal", nil, someChange(), "", 0, wantChange, "umbra: not applied: there is no terminal to ask on; add --yes\n", 1, nil},
		{"nothing", []string{"--yes"}, view.Change{Digest: "d1g35t", Kept: []string{"tcp :1"}}, "", 0, "nothing to change: the process serves FILE as it is\n", "", 0, nil},
		{"mistakes", []string{"--yes"}, someChange(), compare, http.StatusUnprocessableEntity, "", "umbra.toml:3:1: one\numbra: two\n", 1, nil},
		{"mistakes of the reload", []string{"--yes"}, someChange(), reload, http.StatusUnprocessableEntity, wantChange, "umbra.toml:3:1: one\numbra: two\n", 1, nil},
		{"an edit meanwhile", []string{"--yes"}, someChange(), reload, http.StatusConflict, wantChange, "umbra: not applied: FILE has changed since the plan was made; run umbra apply again\n", 1, nil},
		{"not allowed", []string{"--yes"}, someChange(), compare, http.StatusForbidden, "", "umbra: umbra.toml:3:1: one\numbra: two\n", 1, nil},
		{"json", []string{"--json"}, view.Change{Digest: "d"}, "", 0, `{"applied":false,"change":{"digest":"d","kept":null,"opened":null,"closed":null,"added":null,"removed":null,"changed":null}}` + "\n", "", 0, nil},
		{"json, yes", []string{"--json", "--yes"}, view.Change{Digest: "d", Opened: []string{"x"}}, "", 0, `{"applied":true,"change":{"digest":"d","kept":null,"opened":["x"],"closed":null,"added":null,"removed":null,"changed":null}}` + "\n", "", 0, []string{"d"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newFakeProcess(t)
			p.change = tc.change
			if tc.refuse != "" {
				p.refuse[tc.refuse], p.codes[tc.refuse] = &view.Problem{Error: "umbra.toml:3:1: one\ntwo"}, tc.code
			}
			out, errs, status := umbra(append([]string{"apply", p.file}, tc.args...)...)
			named := func(s string) string { return strings.ReplaceAll(s, "FILE", p.file) }
			if out != named(tc.out) || errs != named(tc.errs) || status != tc.status || !slices.Equal(p.applied, tc.applied) {
				t.Errorf("got status %d, applied %q,\n%s%s\nwant %d, %q,\n%s%s", status, p.applied, out, errs, tc.status, tc.applied, named(tc.out), named(tc.errs))
			}
		})
	}
}

// A file that another process runs is not taken for this one's.
func TestApplyAnotherFile(t *testing.T) {
	p := newFakeProcess(t)
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(p.file), "other.toml")
	if err := os.WriteFile(other, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, status := umbra("apply", "--yes", other)
	if status != 1 || !strings.Contains(errs, "runs "+p.file+", not "+other) || len(p.applied) > 0 {
		t.Errorf("got status %d, applied %q and %s", status, p.applied, errs)
	}
}

// Each command names the mend where there is no process, no socket, or an older process.
func TestViewUnreachable(t *testing.T) {
	p := newFakeProcess(t)
	none := filepath.Join(filepath.Dir(p.file), "none.toml")
	gone := filepath.Join(filepath.Dir(p.file), "gone.toml")
	const rest = "[pipeline.p]\nchain = [\"inbound.socks5\", \"outbound.direct\"]\n[inbound.socks5]\nlisten = \"127.0.0.1:1\"\n[outbound.direct]\n"
	for path, text := range map[string]string{none: rest, gone: "[admin]\nsocket = \"nowhere.sock\"\n" + rest} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"trace"}, {"trace", "--follow"}, {"top"}, {"users"}, {"kill", "--user", "alice"}, {"kill"}, {"apply"}} {
		for path, want := range map[string]string{
			none: "has no [admin] socket, through which",
			gone: "umbra: reach the running process at nowhere.sock: no such file or directory; is it running, with this file?\n",
		} {
			args := append(slices.Clone(args), path)
			if len(args) == 2 && args[0] == "kill" {
				args = append(args, "7")
			}
			out, errs, status := umbra(args...)
			if status != 1 || !strings.Contains(errs, want) || out != "" {
				t.Errorf("%q: got status %d, %q and %q, want %q", args, status, out, errs, want)
			}
		}
	}
}

// An older process has a socket, and no API on it.
func TestViewOlderProcess(t *testing.T) {
	p := newFakeProcess(t)
	p.old = true
	for _, args := range [][]string{{"trace"}, {"trace", "--follow"}, {"top"}, {"users"}, {"kill", "--user", "alice"}, {"apply"}} {
		_, errs, status := umbra(append(args, p.file)...)
		if status != 1 || !strings.Contains(errs, " does not know /api/v1/") || !strings.Contains(errs, "is it of an older version? restart it\n") {
			t.Errorf("%q: got status %d and %q", args, status, errs)
		}
	}
}
