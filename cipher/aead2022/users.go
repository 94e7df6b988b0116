package aead2022

import (
	"crypto/cipher"
	"fmt"

	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
)

// user is a user's key and the state derived from it.
type user struct {
	name  string
	psk   []byte
	hash  hash
	block cipher.Block // seals the separate headers of replies; nil without AES
	long  cipher.AEAD  // seals datagrams without AES; else nil
	grant *core.Grant  // the grant of the user's connections, or nil
}

// userTable is the users of a server, by the hash in the identity header. It is immutable,
// so that it can be replaced atomically.
type userTable struct{ byHash map[hash]*user }

// newUsers returns a table of users. Names and keys must be unique.
func newUsers(s Spec, list []User) (*userTable, error) {
	us := &userTable{byHash: make(map[hash]*user, len(list))}
	names := make(map[string]bool, len(list))
	for _, u := range list {
		if err := users.CheckName(u.Name); err != nil {
			return nil, err
		}
		switch {
		case names[u.Name]:
			return nil, fmt.Errorf("two users have the name %q", u.Name)
		case len(u.PSK) != s.KeySize:
			return nil, fmt.Errorf("user %q: key of %d bytes, want %d", u.Name, len(u.PSK), s.KeySize)
		}
		made, err := newUser(s, u)
		if err != nil {
			return nil, err
		}
		if other := us.byHash[made.hash]; other != nil {
			return nil, fmt.Errorf("the users %q and %q have the same key", other.name, u.Name)
		}
		us.byHash[made.hash] = made
		names[u.Name] = true
	}
	return us, nil
}

// setGrants copies the grants of list, from which the table was made. Grants exist once
// the table serves.
func (r *userTable) setGrants(list []users.User) {
	grants := make(map[string]*core.Grant, len(list))
	for _, u := range list {
		grants[u.Name] = u.Grant
	}
	for _, u := range r.byHash {
		u.grant = grants[u.name]
	}
}

func newUser(s Spec, u User) (*user, error) {
	made := &user{name: u.Name, psk: u.PSK, hash: hashKey(u.PSK), grant: u.Grant}
	var err error
	if s.Block != nil {
		made.block, err = s.Block(u.PSK)
	} else {
		made.long, err = s.Long(u.PSK)
	}
	return made, err
}
