package inbound

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// UserOptions are the keys of an inbound that asks for a name and a password where it has
// users. A kind embeds them in its own options.
type UserOptions struct {
	Users     map[string]option.Text `toml:"users" help:"names and passwords of the users; without any, every client that can reach the address is served"`
	AllowOpen bool                   `toml:"allow_open" default:"false" help:"serve other machines although there are no users"`
}

// Open returns the users. Without any it returns an error for an address that other machines
// can reach, unless o allows that; then it logs a warning.
func (o UserOptions) Open(env core.Env, listen option.ListenList) (Users, error) {
	known, err := NewUsers(o.Users)
	i := slices.IndexFunc(listen, func(l option.Listen) bool { return !l.IsLoopback() })
	if err != nil || len(known) > 0 || i < 0 {
		return known, err
	}
	if !o.AllowOpen {
		return nil, core.BadOption(core.OptionKey("listen", strconv.Itoa(i)), "%s is open to other machines and there are no users; add users, listen on %q, or set allow_open = true",
			listen[i], fmt.Sprintf("127.0.0.1:%d", listen[i].Port()))
	}
	env.Log.LogAttrs(context.Background(), slog.LevelWarn, "no users: every client that can reach this address is served",
		slog.String("listen", listen[i].String()))
	return nil, nil
}

// Users are accounts with passwords. They contain digests rather than passwords: digests have one
// length, so that the time of a comparison reveals nothing about a password.
type Users []user

type user struct {
	name   string
	digest [sha256.Size]byte
}

// NewUsers checks names and passwords: 1 to 255 bytes each, the limits of RFC 1929.
func NewUsers(passwords map[string]option.Text) (Users, error) {
	var us Users
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		password := passwords[name].Reveal()
		switch {
		case name == "":
			return nil, core.BadOption("users", "a user has an empty name")
		case len(name) > 255:
			return nil, core.BadOption("users", "the user name %.20q… has %d bytes, the most is 255", name, len(name))
		case password == "":
			return nil, core.BadOption("users", "user %q has an empty password", name)
		case len(password) > 255:
			return nil, core.BadOption("users", "the password of user %q has %d bytes, the most is 255", name, len(password))
		}
		if err := option.CheckSecret(passwords[name]); err != nil {
			return nil, core.BadOption("users", "user %q: %w", name, err)
		}
		us = append(us, user{name, digest([]byte(name), []byte(password))})
	}
	return us, nil
}

// Names yields the names of the users.
func (us Users) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, u := range us {
			if !yield(u.name) {
				return
			}
		}
	}
}

// Find returns the name of the user with a name and a password. Its run time depends on the length
// of both and the number of users, not on whether a user matches, or which.
func (us Users) Find(claimedName, password []byte) (name string, ok bool) {
	claimed := digest(claimedName, password)
	at := -1
	for i := range us {
		same := subtle.ConstantTimeCompare(us[i].digest[:], claimed[:])
		at = subtle.ConstantTimeSelect(same, i, at)
	}
	if at < 0 {
		return "", false
	}
	return us[at].name, true
}

// digest hashes the length of the name, the name and the password, so that no
// two logins have the same input.
func digest(name, password []byte) [sha256.Size]byte {
	b := make([]byte, 0, 1+len(name)+len(password))
	b = append(b, byte(len(name)))
	b = append(append(b, name...), password...)
	return sha256.Sum256(b)
}
