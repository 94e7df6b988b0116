package store_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
	"github.com/umbra-proxy/umbra/test/impair"
	"github.com/umbra-proxy/umbra/test/peer"
)

// set is a store.Set in memory.
type set struct {
	mu  sync.Mutex
	has map[string]store.Entry // guarded by mu
}

func newSet() *set { return &set{has: map[string]store.Entry{}} }

func (s *set) All() iter.Seq[store.Entry] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Values(maps.Clone(s.has))
}

func (s *set) Merge(e store.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Newer(s.has[e.Key]) {
		s.has[e.Key] = e
	}
}

func (s *set) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.has)
}

// print is what a set has, in order.
func (s *set) print() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.has)) {
		fmt.Fprintf(&b, "%s=%s@%d ", key, s.has[key].Value, s.has[key].At.UnixNano())
	}
	return b.String()
}

// node is a set with its mirror.
type node struct {
	*set
	mirror *store.Mirror
	log    *logText
	stop   func()
}

func newNode(t testing.TB, s store.Store) *node {
	log, text := newLog()
	n := &node{set: newSet(), log: text}
	n.mirror = store.NewMirror(s, "n/", n.set, log)
	n.stop = running(t, n.mirror.Run)
	return n
}

// put has the node take in an entry and tell the others.
func (n *node) put(key, value string) {
	now := time.Now()
	e := store.Entry{Key: "n/" + key, Value: []byte(value), At: now, Until: now.Add(time.Hour)}
	n.Merge(e)
	n.mirror.Put(e)
}

// alike waits until nodes have the same, of n keys.
func alike(t testing.TB, n int, nodes ...*node) {
	t.Helper()
	await(t, fmt.Sprintf("the same %d entries at all nodes", n), func() bool {
		for _, other := range nodes {
			if other.len() != n || other.print() != nodes[0].print() {
				return false
			}
		}
		return true
	})
}

// TestRedisRestartsEmpty kills the server and starts it again, with nothing in it,
// while two nodes change things: both end alike and nothing is lost.
func TestRedisRestartsEmpty(t *testing.T) {
	port := peer.FreePort(t)
	server := startRedis(t, port)
	address := "redis://" + peer.Addr(port)
	a, b := newNode(t, openRedis(t, address)), newNode(t, openRedis(t, address))
	want := 0
	change := func(round string) {
		for i := range 20 {
			a.put(fmt.Sprintf("a/%s/%d", round, i), round)
			b.put(fmt.Sprintf("b/%s/%d", round, i), round)
			a.put("common", "a"+round)
			b.put("common", "b"+round)
		}
		want += 40
	}
	change("before")
	alike(t, want+1, a, b)
	for round := range 2 {
		_ = server.Cmd.Process.Kill()
		server.Wait(t)
		change(fmt.Sprint("away ", round))
		for _, n := range []*node{a, b} {
			await(t, "the log", func() bool { return strings.Count(n.log.String(), "is away") == round+1 })
		}
		server = startRedis(t, port)
		change(fmt.Sprint("back ", round))
		alike(t, want+1, a, b)
		for _, n := range []*node{a, b} { // a node may be alike before it knows it
			await(t, "the log", func() bool { return strings.Count(n.log.String(), "is back") == round+1 })
		}
	}
	c := newNode(t, openRedis(t, address))
	alike(t, want+1, a, b, c)
	for _, n := range []*node{a, b} {
		if lines := strings.Count(n.log.String(), "\n"); lines != 4 {
			t.Errorf("got the log\n%s\nwant away and back, twice", n.log)
		}
	}
	if c.log.String() != "" {
		t.Errorf("got the log %s", c.log)
	}
}

// TestRedisSlow has a server that answers no more: nobody who puts waits, and a stop
// takes no longer than an answer may.
func TestRedisSlow(t *testing.T) {
	port := peer.FreePort(t)
	startRedis(t, port)
	for name, after := range map[string]int64{"at once": 0, "later": 20_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay := impair.New(t, peer.Addr(port), impair.Options{Down: impair.Direction{End: impair.Stall, After: after}})
			n := newNode(t, openRedis(t, "redis://"+relay.Addr()))
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 50_000 { // more than the queue has room for
					n.put(fmt.Sprintf("%s/%d", name, i), "x")
				}
			}()
			select {
			case <-done:
			case <-time.After(patience):
				t.Fatal("Put waits for the server")
			}
			await(t, "the log", func() bool { return strings.Contains(n.log.String(), "is away") })
			n.stop()
		})
	}
}

// TestRedisPassword has a password, right and wrong; it shows nowhere.
func TestRedisPassword(t *testing.T) {
	port := peer.FreePort(t)
	const right, wrong = "correct-horse", "wrong-horse"
	startRedis(t, port, "--requirepass", right)
	good := newNode(t, openRedis(t, "redis://:"+right+"@"+peer.Addr(port)))
	bad := newNode(t, openRedis(t, "redis://:"+wrong+"@"+peer.Addr(port)))
	none := newNode(t, openRedis(t, "redis://"+peer.Addr(port)))
	good.put("k", "v")
	await(t, "the entry", func() bool {
		found := false
		err := openRedis(t, "redis://:"+right+"@"+peer.Addr(port)).Load(t.Context(), "n/", func(store.Entry) { found = true })
		return err == nil && found
	})
	for n, want := range map[*node]string{bad: "wrong user or password", none: "asks for a password"} {
		await(t, "the log", func() bool { return strings.Contains(n.log.String(), "the store refuses") })
		if !strings.Contains(n.log.String(), want) {
			t.Errorf("got the log %s, want %q", n.log, want)
		}
		if text := n.log.String(); strings.Contains(text, "horse") {
			t.Errorf("got the log %s", text)
		}
	}
	if good.log.String() != "" {
		t.Errorf("got the log %s", good.log)
	}
	_, err := openRedis(t, "redis://:"+wrong+"@"+peer.Addr(port)).Claim(t.Context(), "k", time.Now().Add(time.Hour))
	if err == nil || strings.Contains(err.Error(), "horse") {
		t.Errorf("a claim with a wrong password: got %v", err)
	}
}

// TestRedisForeign meets what others have put below the keys: it is passed over, and
// makes way.
func TestRedisForeign(t *testing.T) {
	port := peer.FreePort(t)
	startRedis(t, port)
	for _, args := range [][]string{{"SET", "umbra:k", "text"}, {"LPUSH", "umbra:l", "1"}, {"SET", "umbra:m", strings.Repeat("z", 60)}} {
		cli := peer.Start(t, nil, peer.Need(t, "redis-cli"), append([]string{"-p", fmt.Sprint(port)}, args...)...)
		if status := cli.Wait(t); status != 0 {
			t.Fatalf("redis-cli: %s", cli.Output())
		}
	}
	r := openRedis(t, "redis://"+peer.Addr(port))
	count := func() (n int) {
		if err := r.Load(t.Context(), "", func(store.Entry) { n++ }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("got %d entries, want none", n)
	}
	now := time.Now()
	for _, key := range []string{"k", "l", "m"} {
		if err := r.Put(t.Context(), store.Entry{Key: key, At: now, Until: now.Add(time.Hour)}); err != nil {
			t.Errorf("put %s: %v", key, err)
		}
	}
	if n := count(); n != 3 {
		t.Errorf("got %d entries, want 3", n)
	}
}

// TestRedisDatabases has two databases of one server, which share nothing.
func TestRedisDatabases(t *testing.T) {
	port := peer.FreePort(t)
	startRedis(t, port)
	one, two := newNode(t, openRedis(t, "redis://"+peer.Addr(port)+"/1")), newNode(t, openRedis(t, "redis://"+peer.Addr(port)+"/2"))
	also := newNode(t, openRedis(t, "redis://"+peer.Addr(port)+"/1"))
	one.put("k", "1")
	two.put("l", "2")
	two.put("m", "3")
	alike(t, 1, one, also)
	if two.len() != 2 {
		t.Errorf("got %s, want its own two", two.print())
	}
}

// TestRedisEnds ends a call's context while the server does not answer.
func TestRedisEnds(t *testing.T) {
	port := peer.FreePort(t)
	startRedis(t, port)
	relay := impair.New(t, peer.Addr(port), impair.Options{Down: impair.Direction{End: impair.Discard}})
	r := openRedis(t, "redis://"+relay.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 4)
	go func() { done <- r.Watch(ctx, "", func() {}, nil) }()
	go func() { done <- r.Load(ctx, "", nil) }()
	go func() {
		_, err := r.Claim(ctx, "k", time.Now().Add(time.Hour))
		done <- err
	}()
	go func() {
		done <- r.Put(ctx, store.Entry{Key: "k", At: time.Now(), Until: time.Now().Add(time.Hour)})
	}()
	cancel()
	for range cap(done) {
		select {
		case err := <-done:
			if err == nil {
				t.Error("got no error")
			}
		case <-time.After(patience):
			t.Fatal("a call goes on")
		}
	}
}
