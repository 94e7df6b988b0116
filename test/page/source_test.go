package page

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/core/view"
	"github.com/umbra-proxy/umbra/plugins"
)

// markup is a name that a client could ask for.
const markup = `<img src=x onerror="document.title='owned'">.example:443`

// source is a process that a test makes up: its plan is of a real file, what happens in it is
// what the test says.
type source struct {
	mu          sync.Mutex
	status      view.Status
	plan        *plan.Plan
	snapshot    func() view.Snapshot
	connections []view.Connection
	journeys    []view.Journey
	users       []view.User
	bans        []view.Ban
	reloads     []view.Reload
	lines       []string
	done        []string // what was asked to change, in order
}

var _ view.Source = (*source)(nil)

// planOf returns the plan of a file.
func planOf(t testing.TB, text string) *plan.Plan {
	t.Helper()
	var reg core.Registry
	plugins.Standard(&reg)
	f, err := config.Parse("umbra.toml", []byte(text), &reg)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Of(f)
}

// change runs f while nothing is read.
func (s *source) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// asked returns what was asked to change.
func (s *source) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done)
}

func (s *source) Status() view.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *source) Plan() *view.Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan
}

func (s *source) Snapshot() view.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot()
}

func (s *source) Connections(f view.Filter) view.Connections {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []view.Connection
	for _, c := range s.connections {
		if f.Pipeline != "" && c.Pipeline != f.Pipeline || f.Network != "" && c.Network != f.Network ||
			f.User != "" && c.User != f.User || f.Outbound != "" && !slices.Contains(c.Path, f.Outbound) ||
			!strings.Contains(strings.ToLower(c.Client+" "+c.Target), strings.ToLower(f.Text)) {
			continue
		}
		all = append(all, c)
	}
	field, down := strings.CutPrefix(f.Sort, "-")
	slices.SortStableFunc(all, func(a, b view.Connection) int {
		var n int
		switch field {
		case "up":
			n = int(a.Up - b.Up)
		case "down":
			n = int(a.Down - b.Down)
		case "since":
			n = a.Since.Compare(b.Since)
		default:
			n = int(a.ID) - int(b.ID)
		}
		if down {
			n = -n
		}
		return n
	})
	from := min(f.Offset, len(all))
	return view.Connections{Total: len(all), List: all[from:min(from+max(f.Limit, 1), len(all))]}
}

func (s *source) Journeys(f view.Filter, after uint64) []view.Journey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []view.Journey
	for _, j := range s.journeys {
		if j.Number > after && (f.Pipeline == "" || j.Pipeline == f.Pipeline) && (f.User == "" || j.User == f.User) &&
			(f.Outbound == "" || slices.Contains(j.Path, f.Outbound)) && (!f.Failed || j.Result != "ok") {
			all = append(all, j)
		}
	}
	return all[max(0, len(all)-f.Limit):]
}

func (s *source) Users() []view.User           { return s.users }
func (s *source) Reloads() []view.Reload       { return s.reloads }
func (s *source) Log(int) []string             { return s.lines }
func (s *source) Figures(func(core.Figure))    {}
func (s *source) note(format string, a ...any) { s.done = append(s.done, fmt.Sprintf(format, a...)) }
func (s *source) Bans(context.Context) ([]view.Ban, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bans), nil
}

func (s *source) Follow(view.Filter) view.Follower { return nil }

func (s *source) Compare(context.Context) (*view.Change, error) {
	return &view.Change{
		Digest: "d1", Kept: []string{"tcp 127.0.0.1:1080 (inbound.socks5)"}, Opened: []string{"tcp 127.0.0.1:1081 (inbound.more)"},
		Closed: []string{}, Added: []string{"inbound.more"}, Removed: []string{}, Changed: []view.Diff{{ID: "outbound.paris", Options: []string{"server"}}},
	}, nil
}

func (s *source) Apply(_ context.Context, digest, by string) error {
	s.change(func() { s.note("apply %s by %s", digest, by) })
	return nil
}

func (s *source) Cut(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.connections)
	s.connections = slices.DeleteFunc(s.connections, func(c view.Connection) bool { return c.ID == id })
	s.note("cut %d", id)
	return len(s.connections) < before
}

func (s *source) Lift(_ context.Context, policy string, client netip.Prefix) error {
	s.change(func() {
		s.bans = slices.DeleteFunc(s.bans, func(b view.Ban) bool {
			p, err := netip.ParsePrefix(b.Client)
			return err == nil && p == client && b.Policy == policy
		})
		s.note("lift %s %s", policy, client)
	})
	return nil
}

func (s *source) Select(_ context.Context, group, member string) error {
	s.change(func() { s.note("select %s %s", group, member) })
	return nil
}

// began is when the made-up process began.
func began() time.Time { return time.Now().Add(-3 * time.Hour) }
