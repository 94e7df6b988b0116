package group_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/group"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// first picks the first member, as a failover does.
type first struct{}

func (first) Pick(group.Question, []*group.Member) int { return 0 }
func (first) Serves(*group.Member) bool                { return true }

// member is an outbound whose dials a test decides.
type member struct {
	*coretest.Dialer
	mu   sync.Mutex
	err  error         // what dials return; guarded by mu
	wait time.Duration // before that; guarded by mu
	ends []core.Stream
}

func newMember() *member {
	m := &member{Dialer: coretest.NewDialer()}
	m.Stream = func(ctx context.Context, r *core.Request) (core.Stream, error) {
		m.mu.Lock()
		err, wait := m.err, m.wait
		m.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		near, far := coretest.Pipe()
		m.mu.Lock()
		m.ends = append(m.ends, far)
		m.mu.Unlock()
		return near, nil
	}
	return m
}

func (m *member) Over(core.Dialer) (core.Dialer, error) { return m, nil }

func (m *member) set(err error, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.wait = err, wait
}

// dials returns how often the member was dialled.
func (m *member) dials() int { return len(m.Requests()) }

// world is a group of members a, b, c in a test.
type world struct {
	t       testing.TB
	members []*member
	group   *group.Group
	dialer  core.Dialer
	log     *strings.Builder
	logged  *sync.Mutex
	load    func() // makes the group anew, as a reload does
}

// options are the defaults of a file.
func options() group.Options {
	return group.Options{Attempts: 2, Fall: 3, Rise: 2, Rest: option.Duration(30 * time.Second), AllDown: "try", OnSwitch: "leave"}
}

func newWorld(t testing.TB, n int, p group.Picker, change func(*group.Options)) *world {
	t.Helper()
	w := &world{t: t, log: new(strings.Builder), logged: new(sync.Mutex)}
	o := options()
	env := coretest.Env(t)
	graph := coretest.Graph{}
	for i := range n {
		name := core.Ref[core.Outbound](string(rune('a' + i)))
		m := newMember()
		graph[name] = m
		w.members, o.Members = append(w.members, m), append(o.Members, name)
	}
	if change != nil {
		change(&o)
	}
	env.Graph = graph
	env.Log = slog.New(slog.NewTextHandler(lockedWriter{w.logged, w.log}, nil))
	w.load = func() {
		var err error
		if w.group, err = group.New(env, o, p); err != nil {
			t.Fatal(err)
		}
		if w.dialer, err = w.group.Over(coretest.NewDialer()); err != nil {
			t.Fatal(err)
		}
	}
	w.load()
	return w
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

// lines returns how often the log has a text.
func (w *world) lines(text string) int {
	w.logged.Lock()
	defer w.logged.Unlock()
	return strings.Count(w.log.String(), text)
}

func newRequest(target string) *core.Request {
	return &core.Request{ID: 1, Network: core.TCP, Client: core.Client{Addr: netip.MustParseAddrPort("192.0.2.7:4711")},
		Target: core.AddrFrom(netip.MustParseAddrPort(target)), Payload: []byte("hello"), Flow: new(core.Flow)}
}

// dial dials once and returns the member that served, or "", and the error.
func (w *world) dial(ctx context.Context) (string, error) {
	w.t.Helper()
	r := newRequest("192.0.2.1:80")
	s, err := w.dialer.DialStream(ctx, r)
	if err != nil {
		return "", err
	}
	s.Close()
	r.Flow.Up.Add(1)
	r.Flow.Down.Add(1)
	r.Flow.End()
	path := r.Flow.Chosen()
	if len(path) != 1 {
		w.t.Errorf("path: got %v, want the member that served alone", path)
	}
	return strings.TrimPrefix(path[0], "outbound."), nil
}

func (w *world) want(member string) {
	w.t.Helper()
	got, err := w.dial(context.Background())
	if err != nil || got != member {
		w.t.Errorf("served by: got %q, %v, want %q", got, err, member)
	}
}

var errRefused = fmt.Errorf("dial 192.0.2.1:8388: %w", syscall.ECONNREFUSED)
