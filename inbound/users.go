package inbound

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

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
