package socks5

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// users are the accounts. They contain digests rather than passwords: digests have one
// length, so that the time of a comparison reveals nothing about a password.
type users []user

type user struct {
	name   string
	digest [sha256.Size]byte
}

// newUsers checks names and passwords: 1 to 255 bytes each, the limits of RFC 1929.
func newUsers(passwords map[string]option.Text) (users, error) {
	var us users
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
		us = append(us, user{name, digest(login{[]byte(name), []byte(password)})})
	}
	return us, nil
}

// find returns the name of the user with the login l. Its run time depends on the length
// of l and the number of users, not on whether a user matches, or which.
func (us users) find(l login) (name string, ok bool) {
	claimed := digest(l)
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
func digest(l login) [sha256.Size]byte {
	b := make([]byte, 0, maxMessage)
	b = append(b, byte(len(l.name)))
	b = append(append(b, l.name...), l.password...)
	return sha256.Sum256(b)
}
