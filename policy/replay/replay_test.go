package replay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a store of claims that may be slow or away.
type shelf struct {
	store.Store
	mu    sync.Mutex
	taken map[string]time.Time
	slow  time.Duration
	away  error
	asked int
}

func newShelf() *shelf { return &shelf{taken: map[string]time.Time{}} }

func (s *shelf) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	s.mu.Lock()
	slow, away := s.slow, s.away
	s.asked++
	s.mu.Unlock()
	if slow > 0 {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(slow):
		}
	}
	if away != nil {
		return false, away
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, taken := s.taken[key]; taken && time.Now().Before(at) {
		return false, nil
	}
	s.taken[key] = until
	return true, nil
}

func (s *shelf) Run(ctx context.Context) { <-ctx.Done() }

func (s *shelf) set(slow time.Duration, away error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow, s.away = slow, away
}

// node is one of a fleet.
type node struct {
	*Policy
	dialer core.Dialer
	next   *coretest.Dialer
	log    *strings.Builder
}

func newNode(s store.Store) *node {
	n := &node{log: new(strings.Builder)}
	n.next = &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return nil, errDialled }}
	env := core.Env{Section: core.SectionPolicy, Name: "fleet", Log: slog.New(slog.NewTextHandler(n.log, nil))}
	n.Policy = newPolicy(env, Options{Wait: option.Duration(100 * time.Millisecond), Remember: option.Duration(time.Hour)}, s)
	n.dialer = n.Wrap(n.next)
	return n
}

var errDialled = errors.New("dialled")

// get has a request come to a node; it returns nil if it went on.
func (n *node) get(t testing.TB, id string, until time.Time) error {
	t.Helper()
	_, err := n.dialer.DialStream(t.Context(), &core.Request{Once: core.Once{ID: []byte(id), Until: until}, Flow: new(core.Flow)})
	if errors.Is(err, errDialled) {
		return nil
	}
	return err
}

// What one node has received no other one serves, for as long as it could be a
// recording.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a, b := newNode(s), newNode(s)
		soon := time.Now().Add(time.Minute)
		for _, tc := range []struct {
			name string
			node *node
			id   string
			ok   bool
		}{
			{"new", a, "one", true},
			{"at the other node", b, "one", false},
			{"at the first node again", a, "one", false},
			{"another one", b, "two", true},
			{"without a mark", a, "", true},
			{"without a mark, again", b, "", true},
		} {
			until := soon
			if tc.id == "two" {
				until = time.Time{}
			}
			err := tc.node.get(t, tc.id, until)
			if (err == nil) != tc.ok || err != nil && (!errors.Is(err, core.ErrReplay) || !errors.Is(err, core.ErrDenied)) {
				t.Errorf("%s: got %v, want it served: %t", tc.name, err, tc.ok)
			}
		}
		if n := len(b.next.Requests()); n != 2 {
			t.Errorf("the second node dialled %d times, want 2: not for a recording", n)
		}
		time.Sleep(30 * time.Minute)
		if err := a.get(t, "two", time.Time{}); !errors.Is(err, core.ErrReplay) {
			t.Errorf("half an hour later: got %v, want %v", err, core.ErrReplay)
		}
	})
}

// A store that is slow or away holds nobody up for long, is told of once, and learns
// what it has missed.
func TestAway(t *testing.T) {
	for name, fault := range map[string]struct {
		slow time.Duration
		err  error
	}{"slow": {time.Hour, nil}, "away": {0, errors.New("connection refused")}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				a, b := newNode(s), newNode(s)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go a.Run(ctx)
				s.set(fault.slow, fault.err)
				began := time.Now()
				for _, id := range []string{"one", "two", "three"} {
					if err := a.get(t, id, time.Now().Add(time.Hour)); err != nil {
						t.Errorf("%s: got %v, want it served", id, err)
					}
				}
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("three requests waited for %s, want the time of one wait in all", took)
				}
				time.Sleep(time.Minute)
				s.set(0, nil)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				for _, id := range []string{"one", "two", "three"} {
					if err := b.get(t, id, time.Now().Add(time.Hour)); !errors.Is(err, core.ErrReplay) {
						t.Errorf("%s, once store reachable again: got %v, want %v", id, err, core.ErrReplay)
					}
				}
				if err := a.get(t, "four", time.Now().Add(time.Hour)); err != nil {
					t.Error(err)
				}
				if away, back := strings.Count(a.log.String(), "the store is away"), strings.Count(a.log.String(), "the store is back"); away != 1 || back != 1 {
					t.Errorf("logged %d times that it is away and %d times that it is back, want once each:\n%s", away, back, a.log)
				}
			})
		})
	}
}

// Of two equal requests at the same instant, at two nodes, one is served.
func TestSameInstant(t *testing.T) {
	s := newShelf()
	a, b := newNode(s), newNode(s)
	for i := range 100 {
		id := string(rune('a' + i))
		served := make(chan bool, 2)
		for _, n := range []*node{a, b} {
			go func() { served <- n.get(t, id, time.Now().Add(time.Hour)) == nil }()
		}
		if first, second := <-served, <-served; first == second {
			t.Fatalf("request %d: served %t and %t, want one of them", i, first, second)
		}
	}
}

// What was missed is bounded.
func TestBounded(t *testing.T) {
	s := newShelf()
	s.set(0, errors.New("away"))
	a := newNode(s)
	for i := range maxPending + 100 {
		_ = a.get(t, string(rune(i)), time.Now().Add(time.Hour))
	}
	if len(a.pending) > maxPending {
		t.Errorf("got %d, want at most %d", len(a.pending), maxPending)
	}
}

func TestMiddlewareKit(t *testing.T) {
	coretest.TestMiddleware(t, func(testing.TB) core.Middleware { return newNode(newShelf()).Policy })
}

func TestNew(t *testing.T) {
	good := func() Options {
		o := Options{Wait: 1, Remember: option.Duration(time.Hour)}
		if err := o.Store.UnmarshalText([]byte("redis://127.0.0.1:1")); err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, tc := range []struct {
		name   string
		change func(*Options)
		key    string
	}{
		{"good", func(*Options) {}, ""},
		{"memory", func(o *Options) { o.Store = store.Place{} }, "store"},
		{"wait", func(o *Options) { o.Wait = 0 }, "wait"},
		{"remember", func(o *Options) { o.Remember = 1 }, "remember"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := good()
			tc.change(&o)
			p, err := New(core.Env{Name: "fleet", Process: new(core.Process), Log: slog.New(slog.DiscardHandler)}, o)
			if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key || (p == nil) != ok {
				t.Errorf("got %v, %v, want an error for the key %q", p, err, tc.key)
			}
		})
	}
}

// A request that is cut while it waits says nothing of the store.
func TestCutIsNoAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.set(50*time.Millisecond, nil)
		n, other := newNode(s), newNode(s)
		if err := other.get(t, "recorded", time.Time{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := n.dialer.DialStream(ctx, &core.Request{Once: core.Once{ID: []byte("x")}, Flow: new(core.Flow)})
		if !errors.Is(err, context.DeadlineExceeded) || n.away.Load() {
			t.Errorf("got %v, away %t", err, n.away.Load())
		}
		if err := n.get(t, "recorded", time.Time{}); !errors.Is(err, core.ErrReplay) {
			t.Errorf("a recording: got %v, want %v", err, core.ErrReplay)
		}
	})
}
