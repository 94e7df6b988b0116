package inbound

import (
	"errors"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestUsersFind(t *testing.T) {
	us, err := NewUsers(map[string]option.Text{"ab": "c", "a": "bcd", "bob": "secret", "carol": "secret", "ünï": "pässword"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name           string
		user, password string
		ok             bool
	}{
		{"first", "a", "bcd", true},
		{"second", "ab", "c", true},
		{"same password as another", "carol", "secret", true},
		{"not ASCII", "ünï", "pässword", true},
		{"border moved", "a", "bc", false},
		{"border moved the other way", "abc", "d", false},
		{"other case", "Bob", "secret", false},
		{"prefix", "bob", "secre", false},
		{"longer", "bob", "secret\x00", false},
		{"another's password", "bob", "c", false},
		{"unknown user", "eve", "secret", false},
		{"empty password", "bob", "", false},
		{"nothing", "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name, ok := us.Find([]byte(tc.user), []byte(tc.password))
			if ok != tc.ok || ok && name != tc.user || !ok && name != "" {
				t.Errorf("got %q, %t, want %t", name, ok, tc.ok)
			}
		})
	}
	if name, ok := Users(nil).Find([]byte("bob"), []byte("secret")); ok {
		t.Errorf("no users: got %q, want nobody", name)
	}
}

func TestNewUsersRefuses(t *testing.T) {
	long := strings.Repeat("s", 256)
	for _, tc := range []struct {
		name      string
		passwords map[string]option.Text
		want      string
	}{
		{"empty name", map[string]option.Text{"": "x"}, "users: a user has an empty name"},
		{"long name", map[string]option.Text{long: "x"}, `users: the user name "ssssssssssssssssssss"… has 256 bytes, the most is 255`},
		{"empty password", map[string]option.Text{"bob": ""}, `users: user "bob" has an empty password`},
		{"long password", map[string]option.Text{"bob": option.Text(long)}, `users: the password of user "bob" has 256 bytes, the most is 255`},
		{"first of several, by name", map[string]option.Text{"b": "", "a": "", "c": "x"}, `users: user "a" has an empty password`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			us, err := NewUsers(tc.passwords)
			if us != nil || err == nil || err.Error() != tc.want {
				t.Errorf("got %v, %v, want %s", us, err, tc.want)
			}
			if o, ok := errors.AsType[*core.OptionError](err); !ok || o.Key != "users" {
				t.Errorf("got %T, want an OptionError of users", err)
			}
		})
	}
}

// The time must not tell whether a user exists, so there is one path for all.
func BenchmarkUsersFind(b *testing.B) {
	passwords := map[string]option.Text{}
	for c := 'a'; c <= 'z'; c++ {
		passwords[strings.Repeat(string(c), 8)] = "password"
	}
	us, err := NewUsers(passwords)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"aaaaaaaa", "zzzzzzzz", "AAAAAAAA"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				us.Find([]byte(name), []byte("password"))
			}
		})
	}
}
