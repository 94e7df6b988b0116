package view

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/core/plan"
)

// fake is a Source that notes what it is asked to do.
type fake struct {
	mu        sync.Mutex
	notReady  string
	did       []string
	snapshots int
	users     int
	figures   []core.Figure
	follow    chan Journey
	log       []string
	journey   Journey
}

var _ Source = (*fake)(nil)

func (f *fake) do(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what)
}

func (f *fake) done() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.did, ", ")
}

func (f *fake) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Status{Version: "1", Ready: f.notReady == "", Reason: f.notReady}
}

func (*fake) Plan() *Plan {
	return &Plan{Pipelines: []*plan.Pipeline{{Name: "p"}}, Components: map[string]*plan.Component{"inbound.in": {ID: "inbound.in"}}}
}

func (f *fake) Snapshot() Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots++
	return Snapshot{
		Generation: f.snapshots, Pipelines: []PipelineState{{Name: "p", Ended: map[string]uint64{"ok": 1}}},
		Components: map[string]ComponentState{"inbound.in": {State: OK, Members: []Member{{Name: "a"}}, Counts: []Count{{Metric: "m", Labels: map[string]string{"a": "b"}}}}},
	}
}

func (f *fake) taken() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshots
}

func (f *fake) Connections(filter Filter) Connections {
	f.do(fmt.Sprintf("connections %+v", filter))
	return Connections{Total: 1, List: []Connection{{ID: 7, User: "alice", Target: "<script>alert(1)</script>", Path: []string{"outbound.a"}}}}
}

func (f *fake) Journeys(filter Filter, after uint64) []Journey {
	f.do(fmt.Sprintf("journeys %+v after %d", filter, after))
	if f.journey.Number != 0 {
		one := f.journey
		one.Steps = append([]Step{}, one.Steps...)
		return []Journey{one}
	}
	return []Journey{{Number: 1, User: "alice", Steps: []Step{{Kind: "dial"}}}}
}

func (f *fake) Follow(Filter) Follower { return follower{f} }

type follower struct{ *fake }

func (f follower) Journeys() <-chan Journey { return f.follow }
func (f follower) Close()                   { f.do("follower closed") }

func (*fake) Users() []User { return []User{{Name: "alice"}} }
func (*fake) Bans(context.Context) ([]Ban, error) {
	return []Ban{{Policy: "policy.ban", Client: "192.0.2.0/24"}}, nil
}
func (*fake) Reloads() []Reload {
	return []Reload{{By: "start", Change: &Change{Changed: []Diff{{ID: "x"}}}}}
}

func (f *fake) Log(n int) []string {
	if f.log != nil {
		return append([]string{}, f.log...)
	}
	return []string{"a", "b"}[:min(n, 2)]
}

func (f *fake) Figures(yield func(core.Figure)) {
	for _, one := range f.figures {
		yield(one)
	}
	for i := range f.users {
		yield(core.Figure{Metric: metrics.UserBytes, Labels: []string{fmt.Sprintf("user%06d", i), "up"}, Value: float64(i)})
	}
}

func (f *fake) Compare(context.Context) (*Change, error) {
	f.do("compare")
	return &Change{Digest: "d"}, nil
}

func (f *fake) Apply(_ context.Context, digest, by string) error {
	f.do("apply " + digest + " by " + by)
	switch digest {
	case "old":
		return ErrChanged
	case "bad":
		return fmt.Errorf("x.toml:1:1: no")
	}
	return nil
}

func (f *fake) Cut(id uint64) bool {
	f.do(fmt.Sprintf("cut %d", id))
	return id == 7
}

func (f *fake) Lift(_ context.Context, policy string, client netip.Prefix) error {
	f.do(fmt.Sprintf("lift %s %s", policy, client))
	if policy == "policy.no" {
		return fmt.Errorf("policy.no: %w", ErrNotFound)
	}
	return nil
}

func (f *fake) Select(_ context.Context, group, member string) error {
	f.do("select " + group + " " + member)
	return nil
}

// start serves a Source.
func start(t testing.TB, f *fake, o Options) *httptest.Server {
	t.Helper()
	o.Log = coretest.Log(t)
	if o.Readers == 0 {
		o.Readers = 8
	}
	if o.MaxUsers == 0 {
		o.MaxUsers = 10
	}
	s := New(f, o)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		server.Close()
	})
	return server
}

// call makes a request, and returns its status and its body.
func call(t testing.TB, at *httptest.Server, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, at.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}
