package aead2022

import (
	"crypto/cipher"
	"fmt"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/cipher/users"
)

// user is a user's key and the state derived from it. Tables share it, so it is immutable but
// for the block.
type user struct {
	users.User
	psk   []byte
	hash  hash
	long  cipher.AEAD                  // seals datagrams without AES; else nil
	block atomic.Pointer[cipher.Block] // see blockOf
}

// userTable is the users of a server, by the hash in the identity header. It is immutable,
// so that it can be replaced atomically.
type userTable struct {
	users.Made[*user]
	byHash map[hash]*user
}

// newUsers returns a table of users. Names and keys must be unique.
func newUsers(s Spec, list []User) (*userTable, error) {
	t := new(userTable)
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
		made, err := newUser(s, users.User{Name: u.Name}, u.PSK)
		if err != nil {
			return nil, err
		}
		t.All = append(t.All, made)
		names[u.Name] = true
	}
	return t, t.index()
}

// newTable returns the table of a list of users. What before has of equal users, which may be
// nil, is taken from there.
func newTable(s Spec, list []users.User, before *userTable) (*userTable, error) {
	var old *users.Made[*user]
	if before != nil {
		old = &before.Made
	}
	made, err := users.Make(list, old, func(u users.User) (*user, error) {
		psk, err := parseKey(s, u.Secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("user %q: %w", u.Name, err)
		}
		return newUser(s, u, psk)
	})
	if err != nil {
		return nil, err
	}
	t := &userTable{Made: made}
	return t, t.index()
}

// index sets byHash. It returns an error if two users have the same key.
func (t *userTable) index() error {
	t.byHash = make(map[hash]*user, len(t.All))
	for _, u := range t.All {
		if other := t.byHash[u.hash]; other != nil {
			return fmt.Errorf("the users %q and %q have the same key", other.Name, u.Name)
		}
		t.byHash[u.hash] = u
	}
	return nil
}

func newUser(s Spec, u users.User, psk []byte) (made *user, err error) {
	made = &user{User: u, psk: psk, hash: hashKey(psk)}
	if s.Block == nil {
		made.long, err = s.Long(psk)
	}
	return made, err
}

// blockOf returns the block cipher that seals the separate headers of u, or nil without AES.
// It is made for the first datagram: most users of a server with many send none for now.
func (s Spec) blockOf(u *user) (cipher.Block, error) {
	if made := u.block.Load(); made != nil {
		return *made, nil
	}
	if s.Block == nil {
		return nil, nil
	}
	block, err := s.Block(u.psk)
	if err == nil {
		u.block.Store(&block)
	}
	return block, err
}
