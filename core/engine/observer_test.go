package engine_test

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// An observer of its own section is notified of every connection of the pipelines that name
// it, on either side of the inbound.
func TestObserverSection(t *testing.T) {
	w, at, other, seen := newWorld(), coretest.FreeAddr(t), coretest.FreeAddr(t), new(coretest.Observer)
	core.Add(&w.reg.Observer, "watch", func(core.Env, struct{}) (core.Observer, error) { return seen, nil })
	text := strings.Replace(one, oneChain(t), `["observer.watch", "inbound.in", "outbound.out"]`, 1) + `
[observer.watch]
[pipeline.q]
chain = ["inbound.other", "observer.watch", "outbound.out"]
[pipeline.unwatched]
chain = ["inbound.third", "outbound.out"]
[inbound.other]
kind = "tiny"
listen = "@2"
[inbound.third]
kind = "tiny"
listen = "@3"
`
	third := coretest.FreeAddr(t)
	e := w.start(t, text, at, other, third)
	for _, at := range []netip.AddrPort{third, at, other} {
		if err := once(at); err != nil {
			t.Fatal(err)
		}
	}
	seen.WaitEnds(t, 2)
	if err := e.Shutdown(ended()); err != nil {
		t.Error(err)
	}
	var pipelines []string
	for _, e := range seen.Events() {
		if e.Kind.Ends() {
			pipelines = append(pipelines, e.Pipeline)
			if e.Kind != core.Closed || !slices.Equal(e.Path, []string{"outbound.out"}) {
				t.Errorf("got %+v, want a Closed by outbound.out", e)
			}
		}
	}
	slices.Sort(pipelines)
	if !slices.Equal(pipelines, []string{"p", "q"}) {
		t.Errorf("got ends in %v, want p and q", pipelines)
	}
	seen.Check(t)
}

// Under load and reloads an observer sees each connection once: those that an old file serves
// out too.
func TestObserverReloads(t *testing.T) {
	const reloads = 8
	w, at, seen := newWorld(), coretest.FreeAddr(t), new(coretest.Observer)
	core.Add(&w.reg.Observer, "watch", func(core.Env, struct{}) (core.Observer, error) { return seen, nil })
	text := strings.Replace(one, oneChain(t), `["inbound.in", "observer.watch", "outbound.out"]`, 1) + "\n[observer.watch]\n"
	e := w.start(t, text, at)
	stop := make(chan struct{})
	made := make([]int, 4)
	var load sync.WaitGroup
	for i := range made {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := once(at); err != nil {
					t.Errorf("under load: %v", err)
					return
				}
				made[i]++
			}
		})
	}
	served := 0
	for i := range reloads {
		old := open(t, at, string(rune('a'+i)))
		greeting := string(rune('b' + i))
		w.reload(t, e, greets(text, greeting), at)
		becomes(t, at, greeting)
		old.Close()
		served++
	}
	close(stop)
	load.Wait()
	for _, n := range made {
		served += n
	}
	if err := e.Shutdown(ended()); err != nil {
		t.Error(err)
	}
	seen.Check(t)
	closed := 0
	for _, kind := range seen.Kinds() {
		if kind == core.Closed {
			closed++
		}
	}
	if closed < served {
		t.Errorf("got %d connections that were served, want the %d that were made", closed, served)
	}
}

// bursting is an observer that panics wherever it is called.
type bursting struct{}

func (bursting) Observe(core.Event) { panic("observe") }
func (bursting) WantsSteps() bool   { panic("wants steps") }

// An observer that panics ends no connection, and the observers after it are notified.
func TestObserverPanics(t *testing.T) {
	w, at, seen := newWorld(), coretest.FreeAddr(t), new(coretest.Observer)
	core.Add(&w.reg.Observer, "bursting", func(core.Env, struct{}) (core.Observer, error) { return bursting{}, nil })
	core.Add(&w.reg.Observer, "watch", func(core.Env, struct{}) (core.Observer, error) { return seen, nil })
	text := strings.Replace(one, oneChain(t), `["observer.bursting", "inbound.in", "observer.watch", "outbound.out"]`, 1) + "\n[observer.bursting]\n[observer.watch]\n"
	var log coretest.Lines
	e := engine.New(&w.reg, slog.New(slog.NewTextHandler(&log, nil)))
	if err := e.Start(t.Context(), w.parse(t, text, at)); err != nil {
		t.Fatal(err)
	}
	c := open(t, at, "a")
	echo(t, c)
	c.Close()
	seen.WaitEnds(t, 1)
	if err := e.Shutdown(ended()); err != nil {
		t.Error(err)
	}
	seen.Check(t)
	if all := log.With("observer panicked"); len(all) != 4 { // Connected, WantsSteps, Opened, Closed
		t.Errorf("got %d panics in the log, want 4:\n%q", len(all), all)
	}
}
