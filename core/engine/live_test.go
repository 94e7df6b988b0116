package engine_test

import (
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

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
