package app_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/core/view"
	"github.com/umbra-proxy/umbra/plugins"
)

// someJourneys are one that went well and one that failed, with what strangers may write.
func someJourneys() []view.Journey {
	began := time.Date(2026, 11, 30, 14, 3, 22, 123e6, time.Local)
	return []view.Journey{
		{
			Number: 7, ID: 12, Pipeline: "web", Inbound: "inbound.web", Network: "tcp", Client: "192.0.2.0/24", User: "alice", Target: "example.org:443",
			Path: []string{"outbound.exit", "outbound.paris"}, Began: began, Took: 1200, Up: 1234, Down: 3 << 20, Result: "ok",
			Steps: []view.Step{
				{Kind: "handshake", Name: "inbound.web", At: 0, Took: 100},
				{Kind: "rule", Name: "outbound.exit", Detail: "rule.lan", At: 100, Took: 0.04},
				{Kind: "dial", Name: "outbound.paris", Detail: "192.0.2.7:443", At: 100, Took: 500},
				{Kind: "answer", At: 700},
				{Kind: "end", At: 1200},
			},
		},
		{
			Number: 9, Pipeline: "local", Inbound: "inbound.local", Network: "tcp", Client: "2001:db8::/48", Target: "evil\x1b[2J\u202e.example:80",
			Began: began.Add(time.Minute), Took: 30_000, Result: "timeout", Error: "dial tcp: \x07 i/o timeout",
			Steps: []view.Step{{Kind: "dial", Name: "outbound.paris", At: 0, Took: 30_000, Error: "dial tcp: \x07 i/o timeout"}, {Kind: "end", At: 30_000, Error: "dial tcp: \x07 i/o timeout"}},
		},
		{
			Number: 10, Pipeline: "local", Inbound: "inbound.local", Network: "tcp", Client: "198.51.100.0/24",
			Began: began.Add(time.Hour), Took: 0, Result: "malformed", Error: "no version",
		},
	}
}

const wantTrace = `2026-11-30 14:03:22.123  192.0.2.0/24 -> example.org:443  ok  1.20s  up 1.2KiB  down 3.0MiB
  web  tcp  alice  inbound.web > outbound.exit > outbound.paris
    0.0ms  [==                      ]  handshake  inbound.web     100ms
    100ms  [  =                     ]  rule       outbound.exit   0.0ms  rule.lan
    100ms  [  ==========            ]  dial       outbound.paris  500ms  192.0.2.7:443
    700ms  [              =         ]  answer                     0.0ms
    1.20s  [                       =]  end                        0.0ms
2026-11-30 14:04:22.123  2001:db8::/48 -> evil?[2J?.example:80  timeout  30.00s  up 0B  down 0B
  local  tcp  inbound.local > outbound.paris
    0.0ms  [========================]  dial  outbound.paris  30.00s  dial tcp: ? i/o timeout
   30.00s  [                       =]  end                    0.0ms
2026-11-30 15:03:22.123  198.51.100.0/24 -> -  malformed  0.0ms  up 0B  down 0B
  local  tcp  inbound.local
           no version
`

func TestTrace(t *testing.T) {
	p := newFakeProcess(t)
	p.journeys = someJourneys()
	p.journeys[1].Path = []string{"outbound.paris"}
	out, errs, status := umbra("trace", p.file)
	if out != wantTrace || status != 0 {
		t.Errorf("got status %d, %s and\n%s\nwant\n%s", status, errs, out, wantTrace)
	}
	out, _, _ = umbra("trace", p.file, "--failed", "--last", "1")
	if !strings.HasPrefix(out, "2026-11-30 15:03:22.123") {
		t.Errorf("the last failed one: got\n%s", out)
	}
	out, _, _ = umbra("trace", p.file, "--user", "bob")
	if out != "no connection has ended that matches\n" {
		t.Errorf("of a user without any: got %q", out)
	}
}

func TestTraceJSON(t *testing.T) {
	p := newFakeProcess(t)
	p.journeys = someJourneys()
	out, _, status := umbra("trace", p.file, "--json")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 3 || status != 0 {
		t.Fatalf("got status %d and\n%s", status, out)
	}
	var j view.Journey
	if err := json.Unmarshal([]byte(lines[1]), &j); err != nil || j.Number != 9 || len(j.Steps) != 2 {
		t.Errorf("got %+v, %v", j, err)
	}
}

// Every flag reaches the process.
func TestTraceQuery(t *testing.T) {
	p := newFakeProcess(t)
	if _, errs, status := umbra("trace", p.file, "--user", "alice", "--pipeline", "web", "--outbound", "paris", "--text", "Example.ORG", "--failed", "--addresses"); status != 0 {
		t.Fatal(errs)
	}
	want := "GET journeys?after=0&failed=true&limit=20&outbound=outbound.paris&pipeline=web&text=example.org&user=alice&whole=true"
	if !p.asked(want) {
		t.Errorf("got %q, want %q", p.queries, want)
	}
	_, errs, status := umbra("trace", p.file, "--pipeline", "wbe")
	if status != 1 || !strings.Contains(errs, "has no pipeline.wbe; did you mean web?") {
		t.Errorf("got status %d and %s", status, errs)
	}
	_, errs, status = umbra("trace", p.file, "--outbound", "outbound.pari")
	if status != 1 || !strings.Contains(errs, "has no outbound.pari; did you mean paris?") {
		t.Errorf("got status %d and %s", status, errs)
	}
	if _, errs, status = umbra("trace", p.file, "--last", "0"); status != 2 || !strings.Contains(errs, "want --last from 1 to 1000, got 0") {
		t.Errorf("got status %d and %s", status, errs)
	}
}

// Those that end later follow, each once and if they match.
func TestTraceFollow(t *testing.T) {
	p := newFakeProcess(t)
	all := someJourneys()
	all[1].User, all[2].User = "alice", "alice"
	p.journeys = all[:1:1]
	out := &output{more: make(chan struct{}, 1)}
	errs := &output{more: make(chan struct{}, 1)}
	status := make(chan int, 1)
	go func() {
		status <- app.Run(console(out, errs, "trace", p.file, "--follow", "--user", "alice"), plugins.Standard)
	}()
	out.wait(t, "example.org")
	p.add(all[1])
	out.wait(t, "evil?[2J")
	p.add(all[0]) // a number that was shown
	p.add(all[2])
	out.wait(t, "no version")
	if !p.asked("GET events?journeys=1&user=alice") {
		t.Errorf("the stream is of all: %q", p.queries)
	}
	p.hangUp()
	if got := <-status; got != 1 || !strings.Contains(errs.String(), "umbra: the running process has ended the stream") {
		t.Errorf("got status %d and %s", got, errs)
	}
	if n := strings.Count(out.String(), " -> "); n != 3 {
		t.Errorf("got %d journeys, want 3:\n%s", n, out)
	}
}
