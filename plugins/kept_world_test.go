package plugins_test

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// spy is a middleware that tells which process it is in. It can be told to fail.
type spy struct {
	process *core.Process
	errBad  error
}

func (spy) Wrap(next core.Dialer) core.Dialer { return next }

// keptWorld is an engine that runs a file, and what its process has.
type keptWorld struct {
	t      *testing.T
	reg    *core.Registry
	spy    *spy
	engine *engine.Engine
	dir    string
}

func startKept(t *testing.T, text, dir string) *keptWorld {
	t.Helper()
	w := &keptWorld{t: t, reg: standard(), spy: new(spy), dir: dir}
	core.Add(&w.reg.Policy, "spy", func(env core.Env, _ struct{}) (core.Policy, error) {
		if w.spy.process == nil { // later ones may be those of a check
			w.spy.process = env.Process
		}
		return *w.spy, w.spy.errBad
	})
	w.engine = engine.New(w.reg, slog.New(slog.DiscardHandler))
	if err := w.engine.Start(t.Context(), w.parse(text)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *keptWorld) parse(text string) *config.File {
	w.t.Helper()
	f, err := config.Parse("f", []byte(strings.ReplaceAll(text, "DIR", w.dir)), w.reg)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *keptWorld) shutdown() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.engine.Shutdown(ctx); err != nil {
		w.t.Error(err)
	}
}

// settle returns what the process keeps once that has been the same for three looks:
// the Run of components begins beside the test, and may take over what it finds.
func (w *keptWorld) settle(every time.Duration) map[string]string {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := coretest.Kept(w.spy.process)
	for same := 0; same < 3; {
		<-ticker.C
		now := coretest.Kept(w.spy.process)
		if same++; !maps.Equal(now, last) {
			same = 0
		}
		last = now
	}
	return last
}
