package app_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/top"
	"github.com/umbra-proxy/umbra/core/view"
)

// relaying has a process move bytes: the clock of the test is not that of the process, so bytes
// count the questions.
func (p *fakeProcess) relaying() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connections = someConnections()
	p.users = []view.User{{Name: "alice", Connections: 5}, {Name: "bob", Connections: 2}}
	asked := int64(0)
	p.snapshot = func() view.Snapshot {
		asked++
		return view.Snapshot{
			Time: time.Now(), Generation: 2, Ready: true,
			Pipelines: []view.PipelineState{
				{Name: "web", Streams: len(p.connections), Down: asked << 30},
				{Name: "local", UDP: 1},
			},
			Components: map[string]view.ComponentState{"outbound.paris": {State: view.OK, Connections: len(p.connections)}},
		}
	}
}

// Where the output is no terminal, rows are printed once, with their rates.
func TestTopPlain(t *testing.T) {
	p := newFakeProcess(t)
	p.relaying()
	const head = `^umbra v1 umbra.toml pid 4711 up 3h generation 2 ready\nstreams 8 associations 1 handshakes 0 up 0B/s down \S+B/s\n\n`
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"pipelines", nil, `PIPELINE CONNS .*\nweb 8 0B/s \d\S+B/s 0B 2.0GiB 0 0 0\nlocal 1 0B/s 0B/s 0B 0B 0 0 0\n$`},
		{"users", []string{"--by", "user", "--sort", "connections"}, `USER CONNS .*\nalice 5 .*\nbob 2 .*\n$`},
		{"outbounds", []string{"--by", "outbound"}, `OUTBOUND CONNS .*\noutbound.paris 8 0B/s 0B/s 0B 0B ok\n$`},
		{"connections", []string{"--by", "connection", "--filter", "BOB"}, `ID AGE NET USER .*\n2 \d+s tcp bob 192.0.2.1:4711 example.org:443 outbound.paris .*\n5 .*\n$`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, errs, status := umbra(append([]string{"top", p.file}, tc.args...)...)
			plain := regexp.MustCompile(`(?m)^ +| +$`).ReplaceAllString(regexp.MustCompile(` +`).ReplaceAllString(out, " "), "")
			if status != 0 || !regexp.MustCompile(head+tc.want).MatchString(plain) {
				t.Errorf("got status %d, %s and\n%s\nwant %s%s", status, errs, plain, head, tc.want)
			}
		})
	}
}

func TestTopJSON(t *testing.T) {
	p := newFakeProcess(t)
	p.relaying()
	out, _, status := umbra("top", p.file, "--json")
	var got struct {
		By   top.Group
		Rows []top.Row
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || strings.Count(out, "\n") != 1 {
		t.Fatalf("got status %d, %v and %s", status, err, out)
	}
	if len(got.Rows) != 2 || got.Rows[0].Name != "web" || got.Rows[0].DownRate <= 0 || got.Rows[0].Pipeline.Streams != 8 || got.By != top.ByPipeline {
		t.Errorf("got %s", out)
	}
}

func TestTopErrors(t *testing.T) {
	p := newFakeProcess(t)
	for _, tc := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"--by", "pipe"}, `umbra top: unknown --by "pipe"; want pipeline, user, outbound or connection`, 2},
		{[]string{"--sort", "name"}, `umbra top: unknown --sort "name"; want rate, total or connections`, 2},
		{nil, "umbra: users are not shown; set users in [admin]", 1},
	} {
		p.refuse["GET snapshot"], p.codes["GET snapshot"] = &view.Problem{Error: "users are not shown; set users in [admin]"}, http.StatusForbidden
		_, errs, status := umbra(append([]string{"top", p.file}, tc.args...)...)
		if status != tc.status || !strings.HasPrefix(errs, tc.want) {
			t.Errorf("got status %d and %s, want %d and %s", status, errs, tc.status, tc.want)
		}
	}
}
