package selector_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/group"
	selector "github.com/umbra-proxy/umbra/outbound/select"
)

// member is an outbound that opens pipes, or fails.
type member struct {
	*coretest.Dialer
	err error
}

func (m *member) Over(core.Dialer) (core.Dialer, error) { return m, nil }

// world is a process with a group of members a, b and c.
type world struct {
	t       testing.TB
	env     core.Env
	members map[string]*member
	out     *selector.Outbound
	dialer  core.Dialer
}

func newWorld(t testing.TB, change func(*selector.Options)) *world {
	w := &world{t: t, env: coretest.Env(t), members: map[string]*member{}}
	graph := coretest.Graph{}
	for _, name := range []string{"a", "b", "c"} {
		m := &member{Dialer: coretest.NewDialer()}
		m.Stream = func(context.Context, *core.Request) (core.Stream, error) {
			near, _ := coretest.Pipe()
			return near, m.err
		}
		w.members[name], graph[core.Ref[core.Outbound](name)] = m, m
	}
	w.env.Graph = graph
	w.load(change)
	return w
}

// load loads the group anew, as a reload does.
func (w *world) load(change func(*selector.Options)) {
	w.t.Helper()
	var o selector.Options
	o.Options = group.Options{Members: []core.Ref[core.Outbound]{"a", "b", "c"}, Attempts: 2, Fall: 3, Rise: 2, Rest: option.Duration(30e9), AllDown: "try", OnSwitch: "cut"}
	if change != nil {
		change(&o)
	}
	out, err := selector.New(w.env, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.out = out.(*selector.Outbound)
	if w.dialer, err = out.Over(coretest.NewDialer()); err != nil {
		w.t.Fatal(err)
	}
}

// by returns the members that a request took, and its flow.
func (w *world) by() (string, *core.Flow) {
	w.t.Helper()
	r := &core.Request{Network: core.TCP, Flow: new(core.Flow)}
	_, err := w.dialer.DialStream(context.Background(), r)
	if err != nil {
		return err.Error(), r.Flow
	}
	return strings.TrimPrefix(strings.Join(r.Flow.Chosen(), " "), "outbound."), r.Flow
}

func (w *world) want(want string) *core.Flow {
	w.t.Helper()
	got, flow := w.by()
	if got != want {
		w.t.Errorf("got %q, want %q", got, want)
	}
	return flow
}

func (w *world) take(member string) {
	w.t.Helper()
	if _, err := w.out.Command(context.Background(), []string{"take", member}); err != nil {
		w.t.Error(err)
	}
}

// TestChoice follows what a person chooses, over a reload too.
func TestChoice(t *testing.T) {
	w := newWorld(t, nil)
	flow := w.want("a")
	w.take("b")
	w.want("b")
	if flow.Cause() == nil {
		t.Error("the stream through the member that was left runs on, with on_switch = cut")
	}
	w.load(nil)
	w.want("b")
	w.load(func(o *selector.Options) { o.First = "c" })
	w.want("b")
	w.load(func(o *selector.Options) { o.Members = o.Members[:1] })
	w.want("a") // b is not there any more
	w = newWorld(t, func(o *selector.Options) { o.First = "c" })
	w.want("c")
}

// TestOthers has the chosen member fail: nothing else is taken, unless the options say so.
func TestOthers(t *testing.T) {
	w := newWorld(t, nil)
	w.members["a"].err = errors.New("down")
	for range 5 {
		w.want("a: down")
	}
	w.load(func(o *selector.Options) { o.AllDown = "refuse" })
	if got, _ := w.by(); !strings.Contains(got, "every member is out") {
		t.Errorf("got %q", got)
	}
	w = newWorld(t, func(o *selector.Options) { o.Others = true })
	w.members["a"].err = errors.New("down")
	for range 5 {
		w.want("b")
	}
}

// TestFile keeps the choice over a restart.
func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "choice")
	with := func(o *selector.Options) { o.File = file }
	w := newWorld(t, with)
	w.want("a")
	w.take("c")
	newWorld(t, with).want("c")
	if err := os.WriteFile(file, []byte("gone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	newWorld(t, with).want("a")
	if err := os.WriteFile(file, []byte("a\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	var o selector.Options
	o.Options, o.File = group.Options{Members: []core.Ref[core.Outbound]{"a"}, Attempts: 1, Fall: 1, Rise: 1, Rest: 1e9, AllDown: "try", OnSwitch: "cut"}, file
	_, err := selector.New(w.env, o)
	if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != "file" {
		t.Errorf("got %v, want an error at file", err)
	}
}

// TestCommand has the commands and their mistakes.
func TestCommand(t *testing.T) {
	w := newWorld(t, nil)
	answer, err := w.out.Command(t.Context(), []string{"take", "b"})
	if err != nil {
		t.Fatal(err)
	}
	status := answer.(group.Status)
	if len(status.Members) != 3 || !status.Members[1].Serves || status.Members[0].Serves || status.Members[1].State != "in" {
		t.Errorf("got %+v", status)
	}
	if text := status.String(); !strings.Contains(text, "b *") {
		t.Errorf("got\n%s", text)
	}
	for _, tc := range []struct {
		words []string
		want  string
	}{
		{[]string{"take", "d"}, `"d" is none of the members: a, b, c`},
		{[]string{"take"}, "want list or take MEMBER"},
		{[]string{"lits"}, "want list or take MEMBER"},
	} {
		if _, err := w.out.Command(t.Context(), tc.words); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %s", tc.words, err, tc.want)
		}
	}
}

// TestMistakes are of options.
func TestMistakes(t *testing.T) {
	w := newWorld(t, nil)
	var o selector.Options
	o.Options, o.First = group.Options{Members: []core.Ref[core.Outbound]{"a"}, Attempts: 1, Fall: 1, Rise: 1, Rest: 1e9, AllDown: "try", OnSwitch: "cut"}, "d"
	_, err := selector.New(w.env, o)
	if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != "first" {
		t.Errorf("got %v, want an error at first", err)
	}
}
