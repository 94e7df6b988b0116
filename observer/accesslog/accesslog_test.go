package accesslog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options returns the options of a table with an output.
func options(output string) Options {
	return Options{Output: Output(output), Fields: fields("id " + usual), Clients: option.ClientsCut, Results: ResultsAll, Queue: 4096}
}

// made returns a log.
func made(t testing.TB, env core.Env, o Options) *Log {
	t.Helper()
	built, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	return built.(*Log)
}

// run runs a log until stop.
func run(t testing.TB, l *Log) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

func TestConformance(t *testing.T) {
	for _, list := range []string{usual, "steps err first_byte client"} {
		coretest.TestObserver(t, func(t testing.TB) core.Observer {
			o := options(filepath.Join(t.TempDir(), "access.log"))
			o.Fields = fields(list)
			l := made(t, coretest.Env(t), o)
			if l.WantsSteps() != strings.Contains(list, "steps") {
				t.Errorf("%s: got WantsSteps %t", list, l.WantsSteps())
			}
			run(t, l)
			return l
		})
	}
}

// A log that is only checked, or that nothing runs, opens nothing.
func TestNoEffect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	made(t, coretest.Env(t), options(path))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	readOnly := filepath.Join(dir, "read-only.log")
	if err := os.WriteFile(readOnly, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		edit func(o *Options)
		want string
	}{
		{"a folder", func(o *Options) { o.Output = Output(dir) }, "is a folder; want a file"},
		{"no folder", func(o *Options) { o.Output = Output(filepath.Join(dir, "none", "access.log")) }, "none"},
		{"a file in a file", func(o *Options) { o.Output = Output(filepath.Join(readOnly, "access.log")) }, "read-only.log"},
		{"no field", func(o *Options) { o.Fields = nil }, "empty; name at least one"},
		{"a field twice", func(o *Options) { o.Fields = fields("up down up") }, "up stands twice"},
		{"no queue", func(o *Options) { o.Queue = 1 }, "16"},
	} {
		o := options(filepath.Join(dir, "access.log"))
		tc.edit(&o)
		if _, err := New(coretest.Env(t), o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	var o Output
	if err := o.UnmarshalText([]byte("stdeer")); err == nil {
		t.Error("a misspelt word is taken for a file")
	}
}

// ids returns the numbers of the connections in a file, in order.
func ids(t testing.TB, path string) []uint64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []uint64
	for line := range strings.Lines(string(text)) {
		var got struct{ ID uint64 }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, got.ID)
	}
	return all
}

// end has a log see the end of a connection with a number.
func end(t testing.TB, l *Log, id uint64) {
	e := served(t)
	e.Request.ID = id
	l.Observe(e)
}

// Over reloads, and to another file, no line is lost and the order stays.
func TestReload(t *testing.T) {
	const reloads = 10
	env := coretest.Env(t)
	path := filepath.Join(t.TempDir(), "access.log")
	old := made(t, env, options(path))
	end(t, old, 1) // before it runs
	stopOld := run(t, old)
	id := uint64(2)
	for range reloads {
		l := made(t, env, options(path))
		end(t, old, id)
		stop := run(t, l)
		end(t, l, id+1)
		end(t, old, id+2)
		stopOld()
		end(t, l, id+3)
		old, stopOld, id = l, stop, id+4
	}
	other := made(t, env, options(path+".2"))
	stopOther := run(t, other)
	coretest.Eventually(t, "the other file", func() bool { _, err := os.Stat(path + ".2"); return err == nil })
	end(t, old, id) // of a connection that began under the old file
	stopOld()
	stopOther()
	got, more := ids(t, path), ids(t, path+".2")
	for i, id := range got {
		if id != uint64(i+1) {
			t.Fatalf("got %v, want all in order", got)
		}
	}
	if len(got) != 4*reloads+1 || len(more) != 1 || more[0] != id {
		t.Errorf("got %d lines and then %v, want %d and %d", len(got), more, 4*reloads+1, id)
	}
}

// A file that can't be written is told of once, its lines are counted, and its return is
// told.
func TestAway(t *testing.T) {
	var log coretest.Lines
	env := coretest.Env(t)
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "access.log")
	l := made(t, env, options(path))
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	stop := run(t, l)
	for id := range uint64(5) {
		end(t, l, id)
	}
	coretest.Eventually(t, "a line about the file", func() bool { return len(log.With("can't be written", "access.log")) == 1 })
	l.lines.drained(t)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	end(t, l, 9)
	stop()
	if got := fmt.Sprint(ids(t, path)); got != "[9]" {
		t.Errorf("got the lines %s, want the last one", got)
	}
	if all := log.With("can't be written"); len(all) != 1 {
		t.Errorf("got %q, want it said once", all)
	}
	if len(log.With("written again")) != 1 || len(log.With("lines of the access log lost", "lines=5")) != 1 {
		t.Errorf("got %q, want its return and 5 lines lost", log.With(""))
	}
}

// drained waits until the writer has taken all lines: it opens again after those.
func (l *lines) drained(t testing.TB) {
	t.Helper()
	coretest.Eventually(t, "the writer", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.queue.Waiting() == 0
	})
}

// Only failures are written where that is asked for.
func TestFailed(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "access.log"))
	o.Results = ResultsFailed
	l := made(t, coretest.Env(t), o)
	stop := run(t, l)
	end(t, l, 1)
	e := served(t)
	e.Request.ID, e.Err = 2, core.ErrIdle
	l.Observe(e)
	e.Kind = core.Opened
	l.Observe(e)
	stop()
	if got := fmt.Sprint(ids(t, string(o.Output))); got != "[2]" {
		t.Errorf("got %s, want the one that failed", got)
	}
}
