package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

func env(log *strings.Builder) core.Env {
	e := core.Env{Section: core.SectionCipher, Name: "x", Process: new(core.Process), Log: slog.New(slog.DiscardHandler)}
	if log != nil {
		e.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	return e
}

// write writes a user file and returns its path.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "users.json")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(list []User) string {
	var all []string
	for _, u := range list {
		all = append(all, u.Name+"="+u.Secret.Reveal())
	}
	return strings.Join(all, " ")
}

func TestOpen(t *testing.T) {
	file := func(text string) Options { return Options{UsersFile: write(t, "", text)} }
	long := strings.Repeat("n", 256)
	for _, tc := range []struct {
		name string
		o    Options
		want string
		key  string
		err  string
	}{
		{"inline", Options{Users: map[string]option.Text{"bob": "2", "alice": "1"}}, "alice=1 bob=2", "", ""},
		{"file", file("{\n\"bob\": \"2\", \"alice\": \"1\"}\n"), "alice=1 bob=2", "", ""},
		{"none", Options{}, "", "", ""},
		{"both", Options{Users: map[string]option.Text{"a": "1"}, UsersFile: "x"}, "", "users_file", "only one"},
		{"cut without users", Options{CutRemoved: true}, "", "cut_removed", "no users"},
		{"empty table", Options{Users: map[string]option.Text{}}, "", "users", "no users in this table"},
		{"empty file object", file("{}"), "", "users_file", "users.json:1: no users in this file"},
		{"empty name", file(`{"": "x"}`), "", "users_file", "empty name"},
		{"empty secret", file(`{"a": ""}`), "", "users_file", `user "a" has an empty secret`},
		{"long name", file(`{"` + long + `": "x"}`), "", "users_file", "has 256 bytes, want at most 255"},
		{"control character", file(`{"a\nb": "x"}`), "", "users_file", `"a\nb" contains a control character`},
		{"double", file("{\"a\": \"x\",\n\"b\": \"y\",\n\"a\": \"z\"}"), "", "users_file", `users.json:3: two users have the name "a"`},
		{"number", file(`{"a": 1}`), "", "users_file", `user "a": want a secret as a string`},
		{"list", file(`["a"]`), "", "users_file", "want an object"},
		{"nested", file("{\"a\": {\"b\": \"c\"}}"), "", "users_file", "want a secret as a string"},
		{"cut off", file("{\"a\": \"x\","), "", "users_file", "users.json:1: "},
		{"not JSON", file("{\n\"a\" = \"x\"}"), "", "users_file", "users.json:2: invalid character '='"},
		{"two objects", file(`{"a": "x"} {"b": "y"}`), "", "users_file", "data after the JSON object"},
		{"empty file", file(""), "", "users_file", "unexpected end of file"},
		{"no file", Options{UsersFile: filepath.Join(t.TempDir(), "none")}, "", "users_file", "no such file"},
		{"folder", Options{UsersFile: t.TempDir()}, "", "users_file", "is not a file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := Open(env(nil), tc.o)
			if tc.err == "" {
				if err != nil || names(l.Users()) != tc.want {
					t.Fatalf("got %v, %v, want %q", l, err, tc.want)
				}
				return
			}
			o, ok := errors.AsType[*core.OptionError](err)
			if !ok || o.Key != tc.key || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, want %q at key %s", err, tc.err, tc.key)
			}
		})
	}
}

// No error contains the text of a secret.
func TestErrorsContainNoSecret(t *testing.T) {
	for _, text := range []string{`{"a": "hunter2", "a": "hunter2"}`, `{"a": "hunter2"`, `{"a": "hunter2"} x`, `{"a": "hunter2", "b": ""}`} {
		if _, err := Open(env(nil), Options{UsersFile: write(t, "", text)}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the secret", text, err)
		}
	}
}

// A file that everyone can read causes a warning.
func TestReadable(t *testing.T) {
	path := write(t, "", `{"a": "x"}`)
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		if _, err := Open(env(&log), Options{UsersFile: path}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "every user of this machine"); got != want {
			t.Errorf("mode %o: warned %t, want %t", mode, got, want)
		}
	}
}

// followed is a list that is running.
type followed struct {
	*List
	applied chan string
	refuse  error
	log     strings.Builder
	stop    func()
}

func following(t *testing.T, e core.Env, o Options) *followed {
	t.Helper()
	f := &followed{applied: make(chan string, 8)}
	if e.Log == nil {
		e.Log = slog.New(slog.NewTextHandler(&f.log, nil))
	}
	var err error
	if f.List, err = Open(e, o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	f.stop = func() { cancel(); <-done }
	t.Cleanup(f.stop)
	go func() {
		defer close(done)
		f.Run(ctx, func(list []User) error {
			if f.refuse != nil {
				return f.refuse
			}
			f.applied <- names(list)
			return nil
		})
	}()
	return f
}

// TestFollow changes the file in every way that an operator might.
func TestFollow(t *testing.T) {
	path := write(t, "", `{"a": "1"}`)
	synctest.Test(t, func(t *testing.T) {
		e := env(nil)
		e.Log = nil
		f := following(t, e, Options{UsersFile: path})
		for _, step := range []struct{ do, text, want string }{
			{"no change", "", ""},
			{"add", `{"a": "1", "b": "2"}`, "a=1 b=2"},
			{"remove", `{"b": "2"}`, "b=2"},
			{"half written", `{"b": "2", `, ""},
			{"whole again", `{"b": "2", "c": "3"}`, "b=2 c=3"},
			{"another secret of the same size", `{"b": "2", "c": "4"}`, "b=2 c=4"},
		} {
			if step.text != "" {
				write(t, path, step.text)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			got := ""
			if len(f.applied) > 0 {
				got = <-f.applied
			}
			if got != step.want {
				t.Errorf("%s: got %q, want %q", step.do, got, step.want)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		f.stop()
		if len(f.applied) > 0 {
			t.Errorf("a missing file: got %q, want no change", <-f.applied)
		}
		if n := strings.Count(f.log.String(), "no such file"); n != 1 {
			t.Errorf("a missing file was logged %d times, want 1:\n%s", n, f.log.String())
		}
	})
}

// If apply returns an error, the users stay, and the next change is tried again.
func TestRefused(t *testing.T) {
	path := write(t, "", `{"a": "1"}`)
	synctest.Test(t, func(t *testing.T) {
		f := following(t, env(nil), Options{UsersFile: path, CutRemoved: true})
		f.refuse = errors.New("bad key")
		kept := f.Grant(f.Users()[0])
		write(t, path, `{"b": "2"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if names(f.Users()) != "a=1" || kept.Revoke(errors.New("test")) != 0 {
			t.Errorf("got users %s, want those from before", names(f.Users()))
		}
	})
}

// pending is a client that never gets its reply.
type pending struct{}

func (pending) Accept() (core.Stream, error) { return nil, net.ErrClosed }
func (pending) Reject(error)                 {}

// held serves a flow under a grant with a pipeline, and returns the channel that reports its end.
func held(t *testing.T, g *core.Grant) <-chan error {
	t.Helper()
	flow, cut := new(core.Flow), make(chan error, 1)
	dialer := &coretest.Dialer{Stream: func(ctx context.Context, _ *core.Request) (core.Stream, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	p := pipeline.New(pipeline.Config{
		Log: slog.New(slog.DiscardHandler), Dialer: dialer, DialTimeout: time.Hour, IdleTimeout: time.Hour,
	})
	flow.OnCut(func() { cut <- flow.Cause() })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.HandleStream(t.Context(), &core.Request{Flow: flow, Grant: g}, pending{}, nil)
	}()
	t.Cleanup(func() { flow.Cut(net.ErrClosed); <-ended })
	return cut
}

func TestCutRemoved(t *testing.T) {
	path := write(t, "", `{"a": "1", "b": "2", "c": "3"}`)
	for _, cuts := range []bool{true, false} {
		t.Run(fmt.Sprint(cuts), func(t *testing.T) {
			write(t, path, `{"a": "1", "b": "2", "c": "3"}`)
			synctest.Test(t, func(t *testing.T) {
				f := following(t, env(nil), Options{UsersFile: path, CutRemoved: cuts})
				var cut []<-chan error
				for _, u := range f.Users() {
					cut = append(cut, held(t, f.Grant(u)))
				}
				synctest.Wait()
				write(t, path, `{"b": "2", "c": "changed"}`)
				time.Sleep(time.Second)
				synctest.Wait()
				for i, want := range []bool{cuts, false, cuts} {
					if got := len(cut[i]) == 1; got != want {
						t.Errorf("user %d was cut: %t, want %t", i, got, want)
					}
				}
				if cuts {
					if err := <-cut[0]; !errors.Is(err, core.ErrDenied) {
						t.Errorf("got cause %v, want %v", err, core.ErrDenied)
					}
				}
			})
		})
	}
}

// TestReload checks that users who are missing after a reload are cut when the new file is
// served, not when it is checked, and that the list of the old file can't cut users after
// that.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := env(nil)
		of := func(names ...string) Options {
			o := Options{CutRemoved: true, Users: map[string]option.Text{}}
			for _, n := range names {
				o.Users[n] = "x"
			}
			return o
		}
		old := following(t, e, of("a", "b"))
		a, b := held(t, old.Grant(old.Users()[0])), held(t, old.Grant(old.Users()[1]))
		if _, err := Open(e, of("z")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(a)+len(b) > 0 {
			t.Error("a file that is only checked cut a user")
		}
		synctest.Wait()
		next := following(t, e, of("b", "c"))
		synctest.Wait()
		if len(a) != 1 || len(b) != 0 {
			t.Errorf("cut: a %d, b %d, want a only", len(a), len(b))
		}
		c := held(t, next.Grant(next.Users()[1]))
		synctest.Wait()
		if old.settle(); len(c) > 0 {
			t.Error("the list of the old file cut a new user")
		}
	})
}

// FuzzParse checks that every accepted list of users is valid.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`{"alice": "secret"}`, `{"a":"b","a":"c"}`, `{`, `[]`, `{"a":{}}`, `{"a":"b"}{}`, "{\"\\u0000\":\"x\"}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseFile("users.json", data)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("got %d users and %v", len(list), err)
		}
		known := map[string]bool{}
		for _, u := range list {
			if err := u.check(); err != nil || known[u.Name] {
				t.Errorf("got user %q: %v, double %t", u.Name, err, known[u.Name])
			}
			known[u.Name] = true
		}
	})
}
