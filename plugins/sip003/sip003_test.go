package sip003

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// records keeps what is logged, a text a record.
type records struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func newRecords() (*records, *slog.Logger) {
	r := &records{}
	r.Handler = slog.NewTextHandler(r, nil)
	return r, slog.New(r.Handler)
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, text, _ := strings.Cut(string(bytes.TrimSpace(p)), "msg=")
	r.all = append(r.all, text)
	return len(p), nil
}

func (r *records) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// What a plugin prints is a record a line, in bounded size and number.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, log := newRecords()
		l := &lines{log: log}
		fmt.Fprint(l, "one\r\n\n  \ntw")
		fmt.Fprint(l, "o\x1b[2J\n"+strings.Repeat("x", 3*maxLine)+"\nlast")
		l.flush()
		want := []string{`"plugin says" line=one`, `"plugin says" line=two?[2J`, `"plugin says" line=` + strings.Repeat("x", maxLine), `"plugin says" line=last`}
		if got := r.texts(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for range 2 * linesPerSpell {
			fmt.Fprintln(l, "much")
		}
		if got := len(r.texts()); got != linesPerSpell {
			t.Errorf("got %d lines in a spell, want %d", got, linesPerSpell)
		}
		time.Sleep(spell + time.Second)
		fmt.Fprintln(l, "later")
		if got, want := r.texts()[linesPerSpell], fmt.Sprintf(`"plugin says" line=later suppressed=%d`, linesPerSpell+4); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestNew(t *testing.T) {
	for _, tc := range []struct {
		options Options
		want    string
	}{
		{Options{Plugin: "no-such-plugin"}, `plugin: "no-such-plugin" is not found; install the plugin, or write its path`},
		{Options{Plugin: "/no/such/plugin"}, `plugin: "/no/such/plugin" is not found`},
		{Options{Plugin: t.TempDir()}, "plugin: "},
		{Options{Plugin: "sh", Options: option.Text("a\x00b")}, "options: a NUL byte"},
	} {
		if _, err := New(coretest.Env(t), tc.options); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %s", tc.options, err, tc.want)
		}
	}
}

// script returns the path of a plugin.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// Two that need the same plugin share it. It ends with the last of them, even if it does not
// want to.
func TestChildren(t *testing.T) {
	t.Parallel()
	r, log := newRecords()
	var cs children
	u := use{command: command{path: script(t, "trap '' TERM\necho ready $SS_REMOTE_HOST $SS_REMOTE_PORT $SS_PLUGIN_OPTIONS $1 $2\nwhile :; do sleep 0.1; done"), options: "a;b", arguments: "x\x00y"},
		remote: coretest.Addr(t, "[2001:db8::1]:443")}
	a, b := cs.acquire(u, log), cs.acquire(u, log)
	if a != b {
		t.Error("each has a plugin of its own")
	}
	isReady := func() bool {
		return slices.ContainsFunc(r.texts(), func(s string) bool { return strings.Contains(s, "ready 2001:db8::1 443 a;b x y") })
	}
	for end := time.Now().Add(time.Minute); !isReady(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not ready: %q", r.texts())
		}
	}
	cs.release(a)
	if !b.now().at.IsValid() {
		t.Error("it has ended while it was needed")
	}
	cs.release(b)
	if b.now().at.IsValid() || cs.find(u) != nil {
		t.Error("it runs on when nobody needs it")
	}
}

// A plugin that ends at once is left alone for longer and longer, and dials say why.
func TestFailing(t *testing.T) {
	t.Parallel()
	_, log := newRecords()
	env := coretest.Env(t)
	env.Log = log
	made, err := New(env, Options{Plugin: script(t, "exit 3"), Mode: option.Mode(core.TCP)})
	if err != nil {
		t.Fatal(err)
	}
	tr := made.(*Transport)
	wire := coretest.NewDialer()
	d := tr.Carry(wire, coretest.Addr(t, "192.0.2.1:443"))
	if _, err := d.DialStream(t.Context(), &core.Request{}); err == nil || !strings.Contains(err.Error(), "nothing runs that uses it") {
		t.Errorf("before it runs: got %v", err)
	}
	c := tr.children.acquire(use{command: tr.command, remote: coretest.Addr(t, "192.0.2.1:443")}, log)
	defer tr.children.release(c)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if s := c.now(); !s.soon && s.why != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got %+v, want a long pause", c.now())
		}
	}
	_, err = d.DialStream(t.Context(), &core.Request{})
	if err == nil || err.Error() != "the plugin plugin does not run: exit status 3" {
		t.Errorf("got %v", err)
	}
	if err := d.CheckPackets(); err == nil {
		t.Error("it carries UDP")
	}
}
