package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/view"
)

// someConnections are more than a page of the fake.
func someConnections() []view.Connection {
	var all []view.Connection
	for i, user := range []string{"alice", "bob", "alice", "alice", "bob", "alice", "", "alice"} {
		c := view.Connection{ID: uint64(i + 1), Pipeline: "web", Network: "tcp", Client: "192.0.2.1:4711", User: user, Target: "example.org:443", Path: []string{"outbound.paris"}, State: "relaying", Since: time.Now()}
		if i == 3 {
			c.Pipeline = "local"
		}
		all = append(all, c)
	}
	return all
}

func TestKill(t *testing.T) {
	for _, tc := range []struct {
		name     string
		args     []string
		out      string
		errs     string
		status   int
		remained int
	}{
		{"one", []string{"3"}, "1 connection cut\n", "", 0, 7},
		{"several", []string{"1", "2"}, "2 connections cut\n", "", 0, 6},
		{"one that has ended", []string{"1", "99", "2"}, "2 connections cut\n", "umbra: no connection 99: it has ended", 1, 6},
		{"a user", []string{"--user", "alice"}, "5 connections cut\n", "", 0, 3},
		{"a user in a pipeline", []string{"--user", "alice", "--pipeline", "local"}, "1 connection cut\n", "", 0, 7},
		{"a user without any", []string{"--user", "carol"}, "0 connections cut\n", "", 0, 8},
		{"nothing", nil, "", "want an ID, --user or --pipeline", 2, 8},
		{"both", []string{"3", "--user", "alice"}, "", "not both", 2, 8},
		{"no ID", []string{"alice"}, "", `"alice" is not the ID of a connection; umbra top shows them`, 2, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newFakeProcess(t)
			p.connections = someConnections()
			out, errs, status := umbra(append([]string{"kill", p.file}, tc.args...)...)
			if out != tc.out || !strings.Contains(errs, tc.errs) || status != tc.status || len(p.connections) != tc.remained {
				t.Errorf("got %q, %q, status %d and %d remained; want %q, %q, %d and %d", out, errs, status, len(p.connections), tc.out, tc.errs, tc.status, tc.remained)
			}
		})
	}
}

// What the process refuses is an error, and what was cut before it is counted.
func TestKillRefused(t *testing.T) {
	p := newFakeProcess(t)
	p.connections = someConnections()
	p.refuse["DELETE connections/2"], p.codes["DELETE connections/2"] = &view.Problem{Error: "not allowed"}, http.StatusForbidden
	out, errs, status := umbra("kill", p.file, "1", "2", "3")
	if out != "1 connection cut\n" || errs != "umbra: not allowed\n" || status != 1 {
		t.Errorf("got %q, %q and status %d", out, errs, status)
	}
}

func TestUsers(t *testing.T) {
	p := newFakeProcess(t)
	out, _, status := umbra("users", p.file)
	if out != "no user was seen, and none has a quota\n" || status != 0 {
		t.Errorf("without users: got %q and status %d", out, status)
	}
	seen := time.Date(2026, 11, 30, 14, 3, 22, 0, time.Local)
	p.users = []view.User{
		{Name: "b\x1bob", LastSeen: seen},
		{Name: "alice", Connections: 3, Up: 2048, Down: 3 << 20, Used: 1 << 30, Quota: 2 << 30, Resets: time.Date(2026, 12, 1, 0, 0, 0, 0, time.Local), LastSeen: seen},
	}
	want := `user   connections  up      down    used    quota   until       last seen
alice  3            2.0KiB  3.0MiB  1.0GiB  2.0GiB  2026-12-01  2026-11-30 14:03:22
b?ob   0            0B      0B      0B      -       -           2026-11-30 14:03:22
`
	if out, _, _ = umbra("users", p.file); out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if out, _, _ = umbra("users", "--json", p.file); !strings.HasPrefix(out, `[{"name":"b\u001bob","connections":0`) {
		t.Errorf("got %s", out)
	}
}
