package view

import (
	"strings"
	"testing"
)

// Without users, no answer has the name of a user, nor tells whether there is one.
func TestNoNames(t *testing.T) {
	f := &fake{
		follow: make(chan Journey, 1),
		log: []string{
			`2026-01-02T15:04:05.000Z INFO  quota spent user=alice bytes=7`,
			`2026-01-02T15:04:05.000Z INFO  quota spent user="alice \"b\" c" bytes=7`,
			`2026-01-02T15:04:05.000Z DEBUG stream closed id=1 err="denied by policy.acl: user \"alice\""`,
			`{"msg":"quota spent","user":"alice","bytes":7}`,
			`{"msg":"quota spent","user":"alice is cut off`,
		},
		journey: Journey{
			Number: 1, User: "alice", Error: `denied by policy.acl: user "alice"`,
			Steps: []Step{{Kind: "dial", Error: `denied by policy.acl: user "alice"`}},
		},
	}
	f.follow <- f.journey
	at := start(t, f, Options{})
	for _, path := range []string{"/", "/metrics", "/api/v1/connections", "/api/v1/journeys", "/api/v1/users", "/api/v1/snapshot", "/api/v1/log"} {
		if status, body := call(t, at, "GET", path, ""); status != 200 || strings.Contains(body, "alice") {
			t.Errorf("%s: got %d\n%s", path, status, body)
		} else if path == "/api/v1/log" && strings.Count(body, "bytes=7") != 2 {
			t.Errorf("what is no name was removed:\n%s", body)
		}
	}
	for _, path := range []string{"/api/v1/connections?user=alice", "/api/v1/journeys?user=alice", "/api/v1/events?journeys=1&user=alice"} {
		if status, body := call(t, at, "GET", path, ""); status != 400 || !strings.Contains(body, "users = true") {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	open := start(t, f, Options{Users: true})
	for _, path := range []string{"/api/v1/journeys?user=alice", "/api/v1/log"} {
		if status, body := call(t, open, "GET", path, ""); status != 200 || strings.Count(body, "alice") < 3 {
			t.Errorf("with users, %s: got %d\n%s", path, status, body)
		}
	}
}
