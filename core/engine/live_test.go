package engine_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// watching is a policy that observes and does nothing else.
type watching struct{ *coretest.Observer }

// A policy that is an observer is told of every connection, on either side of the
// inbound.
func TestObserverPolicy(t *testing.T) {
	for _, chain := range []string{`["policy.watch", "inbound.in", "outbound.out"]`, `["inbound.in", "policy.watch", "outbound.out"]`} {
		w, at, seen := newWorld(), coretest.FreeAddr(t), new(coretest.Observer)
		core.Add(&w.reg.Policy, "watch", func(core.Env, struct{}) (core.Policy, error) { return watching{seen}, nil })
		text := strings.Replace(one, oneChain(t), chain, 1) + "\n[policy.watch]\n"
		e := w.start(t, text, at)
		c := connect(t, at)
		if _, err := request(c); err != nil {
			t.Fatal(err)
		}
		c.Close()
		events := seen.WaitEnds(t, 1)
		if last := events[len(events)-1]; len(events) != 3 || last.Kind != core.Closed || !slices.Equal(last.Path, []string{"outbound.out"}) {
			t.Errorf("%s: got %+v, want three events, the last a Closed by outbound.out", chain, events)
		}
		if err := e.Shutdown(ended()); err != nil {
			t.Error(err)
		}
		seen.Check(t)
	}
}

// oneChain returns the chain of the file one.
func oneChain(t testing.TB) string {
	t.Helper()
	_, rest, _ := strings.Cut(one, "chain = ")
	chain, _, found := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("no chain")
	}
	return chain
}

// An engine lists what it serves, of the file that was replaced too, and cuts it.
func TestLive(t *testing.T) {
	w, at, seen := newWorld(), coretest.FreeAddr(t), new(coretest.Observer)
	e := engine.New(&w.reg, coretest.Log(t), seen)
	if err := e.Start(t.Context(), w.parse(t, one, at)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(ended()) })
	old := connect(t, at)
	if _, err := request(old); err != nil {
		t.Fatal(err)
	}
	echo(t, old)
	w.reload(t, e, greets(one, "b"), at)
	becomes(t, at, "b")
	now := connect(t, at)
	if _, err := request(now); err != nil {
		t.Fatal(err)
	}
	var generations []engine.Generation
	coretest.Eventually(t, "one connection in each generation", func() bool {
		generations = e.Generations()
		return len(generations) == 2 && generations[0].Connections == 1 && generations[1].Connections == 1
	})
	if g := generations; g[0].Number != 2 || g[0].Retired || g[1].Number != 1 || !g[1].Retired || len(g[1].Pipelines) != 1 || g[1].Since.After(g[0].Since) {
		t.Errorf("generations: got %+v, want 2 and, retired, 1", g)
	}
	all := e.Connections()
	if len(all) != 2 || all[0].Generation != 1 || all[0].Down == 0 || all[0].State != pipeline.Relaying || all[0].Client.Addr.String() != old.LocalAddr().String() {
		t.Fatalf("connections: got %+v, want that of generation 1 first", all)
	}
	if e.Cut(1<<60, core.ErrDenied) {
		t.Error("cut a connection that is not there")
	}
	if !e.Cut(all[0].ID, core.ErrDenied) {
		t.Error("the old connection was not found")
	}
	if _, err := io.ReadAll(old); err != nil {
		t.Errorf("the old connection: %v", err)
	}
	coretest.Eventually(t, "the end of the old generation", func() bool { return len(e.Generations()) == 1 })
	echo(t, now)
	now.Close()
	coretest.Eventually(t, "the end of all", func() bool { return len(e.Connections()) == 0 })
	if err := e.Shutdown(ended()); err != nil {
		t.Error(err)
	}
	seen.Check(t)
	if n := len(e.Generations()); n != 0 {
		t.Errorf("generations after the end: got %d", n)
	}
}
