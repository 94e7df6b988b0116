package plugins_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
)

// TestMisspeltUsers has policies name users whom no client of their pipelines can be.
func TestMisspeltUsers(t *testing.T) {
	const (
		socks = `
[inbound.in]
kind = "socks5"
listen = "127.0.0.1:1080"
users = { alice = "a", "bob@example.org" = "b" }
`
		open = `
[inbound.in]
kind = "socks5"
listen = "127.0.0.1:1080"
`
		ss = `
[inbound.in]
kind = "ss"
listen = "127.0.0.1:8388"
cipher = "c"
[cipher.c]
kind = "2022-blake3-aes-128-gcm"
password = "MDEyMzQ1Njc4OWFiY2RlZg=="
`
		relay = `
[inbound.in]
kind = "relay"
listen = "127.0.0.1:8388"
cipher = "c"
next = { paris = { key = "MDEyMzQ1Njc4OWFiY2RlZg==", server = "192.0.2.1:8388" } }
[cipher.c]
kind = "2022-blake3-aes-128-gcm"
password = "MDEyMzQ1Njc4OWFiY2RlZg=="
`
		limit = `
[policy.p]
kind = "limit"
users = { alcie = { quota = "1GiB" }, alice = { quota = "2GiB" } }
`
		acl = `
[policy.p]
kind = "acl"
allow_users = ["alice"]
deny_users = ["bob", "Bob@example.org", "mallory", "file:none.txt"]
`
	)
	before := `chain = ["policy.p", "inbound.in", "outbound.direct"]`
	after := `chain = ["inbound.in", "policy.p", "outbound.direct"]`
	second := before + `
[pipeline.second]
chain = ["policy.p", "inbound.second", "outbound.direct"]
[inbound.second]
kind = "socks5"
listen = "127.0.0.1:1081"
`
	warning := func(key, name, more string) string {
		return "policy.p." + key + ": no client of the policy's pipelines can be the user " + name + more
	}
	alcie := []string{warning("users.alcie", "alcie", "; did you mean alice?")}
	unknown := []string{warning("users.alcie", "alcie", ": they have no users"), warning("users.alice", "alice", ": they have no users")}
	for _, tc := range []struct {
		name, chain, tables string
		want                []string
	}{
		{"socks5", before, socks + limit, alcie},
		{"socks5 without users", before, open + limit, unknown},
		{"a cipher's users", before, ss + "users = { alice = \"YWFhYWFhYWFhYWFhYWFhYQ==\" }" + limit, alcie},
		{"a users_file", before, ss + "users_file = \"users.json\"" + limit, nil},
		{"a cipher without users", before, ss + limit, unknown},
		{"a relay", before, relay + strings.ReplaceAll(limit, "alice", "paris"), []string{warning("users.alcie", "alcie", "")}},
		{"known in one pipeline of two", second, socks + strings.ReplaceAll(limit, "alcie", "\"bob@example.org\""), nil},
		{"acl", after, socks + acl, []string{
			warning("deny_users", "bob", "; did you mean \"bob@example.org\"?"),
			warning("deny_users", `"Bob@example.org"`, "; did you mean \"bob@example.org\"?"), warning("deny_users", "mallory", ""),
		}},
		{"in no pipeline", `chain = ["inbound.in", "outbound.direct"]`, socks + limit, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := usersWarnings(t, "[pipeline.main]\n"+tc.chain+tc.tables+"\n[outbound.direct]\n")
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	var many strings.Builder
	many.WriteString("\n[policy.p]\nkind = \"limit\"\n")
	for i := range 3000 {
		fmt.Fprintf(&many, "users.u%d.connections = 1\n", i)
	}
	got := usersWarnings(t, "[pipeline.main]\n"+before+socks+many.String()+"\n[outbound.direct]\n")
	if len(got) != 9 || !slices.Contains(got, "policy.p: no client of the policy's pipelines can be 2992 more of the users that it names") {
		t.Errorf("3,000 users: got %q, want 8 warnings and their number", got)
	}
}

// usersWarnings returns the warnings of a file that speak of users, without their places.
func usersWarnings(t *testing.T, text string) []string {
	t.Helper()
	f, err := config.Parse("x", []byte(text), standard())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, w := range f.Warnings {
		if strings.Contains(w.Text, "can be") {
			all = append(all, w.Path+": "+w.Text)
		}
	}
	return all
}
