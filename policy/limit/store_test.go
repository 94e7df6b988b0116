package limit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/policy/store"
	"github.com/umbra-proxy/umbra/test/peer"
)

// await waits for what another goroutine or process does.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s did not come in %s", what, patience)
		}
	}
}

func place(t testing.TB, text string) store.Place {
	t.Helper()
	var p store.Place
	if err := p.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}

// startRedis runs a server on a port that keeps nothing over its end.
func startRedis(t testing.TB, port int) *peer.Process {
	t.Helper()
	p := peer.Start(t, nil, peer.Need(t, "redis-server"), "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1")
	p.WaitListen(t, port)
	return p
}

// take has a user of a node move bytes.
func take(t testing.TB, p *Policy, name string, n int) {
	t.Helper()
	f, m := open(t, p.users, name)
	if _, err := m.Take(n, 0); err != nil {
		t.Fatal(err)
	}
	p.users.leave(f)
}

// TestFleet has two nodes on one server, which is lost and comes back empty, a third
// that comes, and one that goes: all know the sum, and what runs on one is cut for what
// was spent on others.
func TestFleet(t *testing.T) {
	port := peer.FreePort(t)
	server := startRedis(t, port)
	o := Options{QuotaPerUser: 1000, Store: place(t, "redis://"+peer.Addr(port))}
	node := func() (*Policy, func()) {
		env := coretest.Env(t)
		p := policy(t, env, o)
		return p, run(t, p)
	}
	a, _ := node()
	b, stopB := node()
	know := func(want int64, nodes ...*Policy) {
		t.Helper()
		for i, p := range nodes {
			await(t, fmt.Sprintf("%d bytes at node %d", want, i), func() bool { return p.users.used("alice") == want })
		}
	}
	take(t, a, "alice", 100)
	take(t, b, "alice", 200)
	take(t, b, "bob", 999)
	know(300, a, b)
	_ = server.Cmd.Process.Kill()
	server.Wait(t)
	take(t, a, "alice", 50)
	take(t, b, "alice", 50)
	know(350, a)
	server = startRedis(t, port)
	know(400, a, b)
	take(t, b, "alice", 5)
	stopB() // within the second: it tells at its end
	know(405, a)
	c, _ := node()
	know(405, c)
	_ = server.Cmd.Process.Kill() // what the node that has gone counted is known to others
	server.Wait(t)
	startRedis(t, port)
	d, _ := node()
	know(405, a, c, d)

	flow, _ := open(t, a.users, "alice")
	bob, _ := open(t, a.users, "bob")
	f, m := open(t, c.users, "alice")
	if _, err := m.Take(595, 0); !errors.Is(err, core.ErrDenied) {
		t.Errorf("got %v, want the quota spent", err)
	}
	for _, f := range []*core.Flow{flow, f} {
		select {
		case <-f.Done():
		case <-time.After(patience):
			t.Fatal("a flow of the user goes on")
		}
		if !errors.Is(f.Cause(), core.ErrDenied) || !strings.Contains(f.Cause().Error(), "quota") {
			t.Errorf("got the cause %v, want the quota", f.Cause())
		}
	}
	refused(t, d.users, "alice", "quota")
	if bob.Cause() != nil {
		t.Errorf("bob was cut: %v", bob.Cause())
	}
}

// TestReload goes on counting over a reload, and to another store.
func TestReload(t *testing.T) {
	env, path := coretest.Env(t), filepath.Join(t.TempDir(), "quota")
	o := Options{QuotaPerUser: 1000}
	first := policy(t, env, o)
	stop := run(t, first)
	await(t, "the old file to be in use", func() bool { return first.users.link.Load() == first.link })
	f, m := open(t, first.users, "alice")
	_, _ = m.Take(300, 0)
	o.Store, o.QuotaPerUser = place(t, "file:"+path), 2000
	next := policy(t, env, o)
	stopNext := run(t, next)
	await(t, "the new file to be in use", func() bool { return next.users.link.Load() == next.link })
	stop()
	_, _ = m.Take(300, 0)
	stopNext()
	if got := next.users.used("alice"); got != 600 || f.Cause() != nil {
		t.Errorf("got %d bytes, %v, want 600", got, f.Cause())
	}
	after := policy(t, coretest.Env(t), o)
	if got := after.users.used("alice"); got != 600 {
		t.Errorf("after a restart: got %d bytes, want 600", got)
	}
}

// TestReloadOldRuns has the old file's connections go on for long while the new one has
// another store: all goes there.
func TestReloadOldRuns(t *testing.T) {
	env, path := coretest.Env(t), filepath.Join(t.TempDir(), "quota")
	o := Options{QuotaPerUser: 1000, Store: place(t, "file:"+path+".old")}
	old := policy(t, env, o)
	run(t, old)
	await(t, "the old file to be in use", func() bool { return old.users.link.Load() == old.link })
	o.Store = place(t, "file:"+path)
	next := policy(t, env, o)
	run(t, next)
	await(t, "the new file to be in use", func() bool { return old.users.link.Load() == next.link })
	_, m := open(t, next.users, "alice")
	for n := range 3 {
		_, _ = m.Take(100, 0)
		await(t, "the count in the new store", func() bool {
			found := false
			err := next.link.store.Load(t.Context(), "", func(e store.Entry) { found = found || string(e.Value) == fmt.Sprint(100*(n+1)) })
			return found && err == nil
		})
	}
}

// TestFileRestarts starts again and again on one file: the user's total goes on, as
// one node's.
func TestFileRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota")
	o := Options{QuotaPerUser: 1 << 40, Store: place(t, "file:"+path)}
	for n := range int64(20) {
		p := policy(t, coretest.Env(t), o)
		if got := p.users.used("alice"); got != 7*n {
			t.Fatalf("start %d: got %d bytes, want %d", n, got, 7*n)
		}
		stop := run(t, p)
		take(t, p, "alice", 7)
		stop()
		if all := p.users.list(); len(all) != 1 {
			t.Fatalf("start %d: got %d entries, want one", n, len(all))
		}
	}
}

// asCounter makes the test binary a process that counts on the file of that name
// until it is killed.
const asCounter = "UMBRA_TEST_LIMIT_COUNTER"

// TestFileKilled kills a process that counts, three times: what was in the file before
// the kill is there after it, and the next process goes on from there.
func TestFileKilled(t *testing.T) {
	if at := os.Getenv(asCounter); at != "" {
		p := policy(t, coretest.Env(t), Options{QuotaPerUser: 1 << 40, Store: place(t, "file:"+at)})
		run(t, p)
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // until the parent has gone
			os.Exit(0)
		}()
		for {
			take(t, p, "alice", 1)
			time.Sleep(time.Millisecond)
		}
	}
	path := filepath.Join(t.TempDir(), "quota")
	stored := func() int64 {
		return policy(t, coretest.Env(t), Options{QuotaPerUser: 1 << 40, Store: place(t, "file:"+path)}).users.used("alice")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for round := range 3 {
		cmd := exec.Command(self, "-test.run=^TestFileKilled$")
		cmd.Env = append(os.Environ(), asCounter+"="+path)
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := last
		await(t, "more bytes in the file", func() bool { before = stored(); return before > last })
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if last = stored(); last < before {
			t.Errorf("round %d: got %d bytes, want %d at least", round, last, before)
		}
	}
}
