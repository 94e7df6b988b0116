package users

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/umbra-proxy/umbra/core/option"
)

// list returns users of pairs of a name and a secret.
func list(pairs ...string) (all []User) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, User{Name: pairs[i], Secret: option.Text(pairs[i+1])})
	}
	return all
}

// TestMake makes a table of users after another one: it takes over what was made of equal
// users, and of no others.
func TestMake(t *testing.T) {
	calls := ""
	of := func(u User) (*string, error) {
		calls += u.Name
		if u.Secret == "bad" {
			return nil, errors.New("bad secret")
		}
		text := u.Name + string(u.Secret)
		return &text, nil
	}
	for _, tc := range []struct {
		name           string
		before, after  []User
		made           string // the names of users that something was made of
		added, removed int
	}{
		{"no table before", nil, list("a", "1", "b", "2"), "ab", 2, 0},
		{"the same", list("a", "1", "b", "2"), list("a", "1", "b", "2"), "", 0, 0},
		{"added before, between and after", list("b", "2", "d", "4"), list("a", "1", "b", "2", "c", "3", "d", "4", "e", "5"), "ace", 3, 0},
		{"removed before, between and after", list("a", "1", "b", "2", "c", "3", "d", "4", "e", "5"), list("b", "2", "d", "4"), "", 0, 3},
		{"another secret", list("a", "1", "b", "2"), list("a", "1", "b", "3"), "b", 1, 1},
		{"another name", list("a", "1", "b", "2"), list("a", "1", "c", "2"), "c", 1, 1},
		{"none stays", list("a", "1", "c", "3"), list("b", "2", "d", "4"), "bd", 2, 2},
		{"bad", list("a", "1"), list("a", "1", "b", "bad"), "b", 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var before *Made[*string]
			if tc.before != nil {
				made, err := Make(tc.before, nil, of)
				if err != nil {
					t.Fatal(err)
				}
				before = &made
			}
			calls = ""
			made, err := Make(tc.after, before, of)
			if wantErr := tc.name == "bad"; (err != nil) != wantErr || calls != tc.made {
				t.Fatalf("made %q, %v, want %q, an error %t", calls, err, tc.made, wantErr)
			}
			for i, u := range made.Users {
				if want := u.Name + string(u.Secret); *made.All[i] != want {
					t.Errorf("user %d: got %q, want %q", i, *made.All[i], want)
				}
			}
			if added, removed := compare(tc.before, tc.after); added != tc.added || removed != tc.removed {
				t.Errorf("got %d added, %d removed, want %d and %d", added, removed, tc.added, tc.removed)
			}
		})
	}
}

// TestReuse checks that the names and secrets of a changed file are in memory once.
func TestReuse(t *testing.T) {
	before := list("a", "1", "b", "2")
	after, err := parseFile("users", []byte(`{"c": "3", "b": "changed", "a": "1"}`))
	if err != nil {
		t.Fatal(err)
	}
	reuse(after, before)
	if got := names(after); got != "a=1 b=changed c=3" {
		t.Errorf("got %s", got)
	}
	for i, u := range before {
		if unsafe.StringData(after[i].Name) != unsafe.StringData(u.Name) {
			t.Errorf("the name %q is in memory twice", u.Name)
		}
	}
	if unsafe.StringData(string(after[0].Secret)) != unsafe.StringData(string(before[0].Secret)) {
		t.Error("the secret of a is in memory twice")
	}
}

// A connection whose user was removed during its handshake is cut, unless nobody cuts.
func TestGrantOfRemoved(t *testing.T) {
	path := write(t, "", `{"a": "1", "b": "2"}`)
	synctest.Test(t, func(t *testing.T) {
		e := env(nil)
		f := following(t, e, Options{UsersFile: path, CutRemoved: true})
		a, b := f.Users()[0], f.Users()[1]
		kept := f.Grant(b)
		write(t, path, `{"b": "2"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if g := f.Grant(a); g == nil || !g.HasEnded() {
			t.Error("the grant of a removed user has not ended")
		}
		if f.Grant(b) != kept || kept.HasEnded() {
			t.Error("the grant of a user who stayed is another one, or has ended")
		}
		write(t, path, `{"a": "1", "b": "2"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if f.Grant(a).HasEnded() {
			t.Error("the grant of a user who is back has ended")
		}
		next := following(t, e, Options{Users: map[string]option.Text{"c": "3"}})
		if f.Grant(a).HasEnded() || next.Grant(next.Users()[0]) != nil {
			t.Error("a grant has ended, or was made, although the new file cuts nobody")
		}
	})
}
