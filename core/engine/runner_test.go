package engine_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// busy is a cipher that works by itself.
type busy struct {
	cipher
	started chan string
}

func (b busy) Run(ctx context.Context) {
	b.world.note("run " + b.id)
	b.started <- b.id
	if b.id == "cipher.panics" {
		panic("slice bounds")
	}
	<-ctx.Done()
	b.world.note("stop " + b.id)
}

// A component that works by itself does so from the start of its generation to its
// end, after all else has ended; one that panics does so alone. One that is only
// checked does nothing.
func TestRunner(t *testing.T) {
	w := newWorld()
	started := make(chan string, 8)
	core.Add(&w.reg.Cipher, "busy", func(env core.Env, _ struct{}) (core.Cipher, error) {
		return busy{cipher{part: w.part(env)}, started}, nil
	})
	text := one + "\n[cipher.works]\nkind = \"busy\"\n[cipher.panics]\nkind = \"busy\"\n"
	at := coretest.FreeAddr(t)
	if err := engine.Check(&w.reg, w.parse(t, text, at), coretest.Log(t)); err != nil {
		t.Fatal(err)
	}
	if len(started) > 0 {
		t.Fatal("a file that was only checked runs")
	}
	var log strings.Builder
	e := engine.New(&w.reg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})))
	if err := e.Start(t.Context(), w.parse(t, text, at)); err != nil {
		t.Fatal(err)
	}
	coretest.Await(t, "a component", started)
	coretest.Await(t, "the other component", started)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "component panicked") || !strings.Contains(log.String(), "cipher=panics") {
		t.Errorf("got log %q, want the panic", log.String())
	}
	got := w.noted()
	if ran := slices.Index(got, "run cipher.works"); ran < 0 || got[len(got)-1] != "stop cipher.works" {
		t.Errorf("got %q, want it to run, and to stop last", got)
	}
}
