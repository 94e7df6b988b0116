package aead

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
)

// userID tells users apart over a reload: another key makes another one.
type userID [16]byte

// user is somebody's key with what is made of it.
type user struct {
	name    string // "" for the one user of a server without names
	key     []byte
	id      userID
	grant   *core.Grant
	packets *packets // nil until the table is served
}

func newUser(s Spec, name string, k []byte) *user {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", s.Method, name, k))
	return &user{name: name, key: k, id: userID(sum[:])}
}

// roll is the users of a server. It does not change, so that it can be swapped for
// another one as a whole.
type roll struct {
	all  []*user
	byID map[userID]*user
}

// newRoll returns the users of a list. No two have the same key.
func (s Spec) newRoll(list []users.User) (*roll, error) {
	r := &roll{byID: make(map[userID]*user, len(list))}
	owner := make(map[string]string, len(list))
	for _, l := range list {
		u := newUser(s, l.Name, key.FromPassword(l.Secret.Reveal(), s.KeySize))
		u.grant = l.Grant
		if other, taken := owner[string(u.key)]; taken {
			return nil, fmt.Errorf("the users %q and %q have the same password", other, u.name)
		}
		owner[string(u.key)] = u.name
		r.all = append(r.all, u)
		r.byID[u.id] = u
	}
	return r, nil
}

// take gives the users their grants, which come once the table is served. list is what
// the users were made of.
func (r *roll) take(list []users.User) {
	for i, u := range r.all {
		u.grant = list[i].Grant
	}
}

// grant has the datagrams of each user run under what the user is served under, once
// these users are served.
func (r *roll) grant() {
	for _, u := range r.all {
		u.packets.grant.Store(u.grant)
	}
}

// weakest returns how many users have a password that can be guessed.
func weakest(list []users.User) (n int) {
	for _, u := range list {
		if len(u.Secret) < weakPassword {
			n++
		}
	}
	return n
}

// serverKey returns what a server without a password of its own derives its habits
// from: the least of its users' keys, which most changes of users leave alone.
func (r *roll) serverKey() []byte {
	return slices.MinFunc(r.all, func(a, b *user) int { return slices.Compare(a.key, b.key) }).key
}

// errNoClient says that a table is a server's alone.
var errNoClient = errors.New("only users are given; a client needs a password")

// memory is what a server's table keeps over a reload beside its salts.
type memory struct {
	seen   *replay.Digests
	memo   core.AddrMemo // of datagrams
	recent *recents

	mu      sync.Mutex
	packets map[userID]*packets // guarded by mu
}

func newMemory() *memory {
	return &memory{seen: replay.NewDigests(rememberedPackets), recent: newRecents(), packets: map[userID]*packets{}}
}

// packetsOf returns what protects the datagrams of a user: the same for as long as
// there is that user.
func (m *memory) packetsOf(s Spec, u *user) *packets {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.packets[u.id]
	if p == nil {
		p = &packets{spec: s, key: u.key, name: u.name, seen: m.seen, memo: &m.memo}
		p.grant.Store(u.grant)
		m.packets[u.id] = p
	}
	return p
}

// keep forgets all but these users.
func (m *memory) keep(known func(userID) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.packets {
		if !known(id) {
			delete(m.packets, id)
		}
	}
}
