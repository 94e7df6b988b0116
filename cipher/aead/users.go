package aead

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/users"
)

// userID identifies a user over a reload. A changed key is another userID.
type userID [16]byte

// user is a user's key. Tables share it, so it is immutable.
type user struct {
	users.User // without a name for the one user of a server without names
	key        []byte
	id         userID
}

func newUser(s Spec, u users.User, k []byte) *user {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", s.Method, u.Name, k))
	return &user{User: u, key: k, id: userID(sum[:])}
}

// userTable is the users of a server. It is immutable, and the ciphers of a process that have
// the same users share it.
type userTable struct {
	users.Made[*user]
	byID map[userID]int // indices in All
}

// table returns the table of all, the users of list.
func (s Spec) table(list *users.List, all []users.User) (*userTable, error) {
	return users.Table(list, s.Method, all, s.newUserTable)
}

// newUserTable returns the table of a list of users. What before has of equal users, which may
// be nil, is taken from there. It returns an error if two users have the same key.
func (s Spec) newUserTable(list []users.User, before *userTable) (*userTable, error) {
	var old *users.Made[*user]
	if before != nil {
		old = &before.Made
	}
	made, err := users.Make(list, old, func(u users.User) (*user, error) {
		return newUser(s, u, key.FromPassword(u.Secret.Reveal(), s.KeySize)), nil
	})
	if err != nil {
		return nil, err
	}
	t := &userTable{made, make(map[userID]int, len(list))}
	owner := make(map[string]string, len(list))
	for i, u := range t.All {
		if other, taken := owner[string(u.key)]; taken {
			return nil, fmt.Errorf("the users %q and %q have the same password", other, u.Name)
		}
		owner[string(u.key)] = u.Name
		t.byID[u.id] = i
	}
	return t, nil
}

// find returns the user with an id, or nil.
func (t *userTable) find(id userID) *user {
	if i, ok := t.byID[id]; ok {
		return t.All[i]
	}
	return nil
}

// weakest returns the number of users with a password shorter than weakPassword.
func weakest(list []users.User) (n int) {
	for _, u := range list {
		if len(u.Secret) < weakPassword {
			n++
		}
	}
	return n
}

// serverKey returns the key from which a server without its own password derives secrets:
// the smallest of its users' keys, which most changes of the users do not affect.
func (r *userTable) serverKey() []byte {
	return slices.MinFunc(r.All, func(a, b *user) int { return slices.Compare(a.key, b.key) }).key
}

// errNoClient is the error of a client that uses a cipher for servers only.
var errNoClient = errors.New("this cipher has users only: a client needs a password")
