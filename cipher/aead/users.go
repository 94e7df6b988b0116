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
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// userID identifies a user over a reload. A changed key is another userID.
type userID [16]byte

// user is a user's key and the state derived from it.
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

// userTable is the users of a server. It is immutable, so that it can be replaced
// atomically.
type userTable struct {
	all  []*user
	byID map[userID]*user
}

// newUserTable returns the table of a list of users. It returns an error if two users
// have the same key.
func (s Spec) newUserTable(list []users.User) (*userTable, error) {
	r := &userTable{byID: make(map[userID]*user, len(list))}
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

// setGrants copies the grants of list, from which the table was made. Grants exist once
// the table serves.
func (r *userTable) setGrants(list []users.User) {
	for i, u := range r.all {
		u.grant = list[i].Grant
	}
}

// grant sets the grants of the users' datagrams. It is called when the table is in use.
func (r *userTable) grant() {
	for _, u := range r.all {
		u.packets.grant.Store(u.grant)
	}
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
	return slices.MinFunc(r.all, func(a, b *user) int { return slices.Compare(a.key, b.key) }).key
}

// errNoClient is the error of a client that uses a cipher for servers only.
var errNoClient = errors.New("this cipher has users only: a client needs a password")

// memory is the state of a server that is kept over a reload, except the salts.
type memory struct {
	seen   *replay.Digests
	memo   socksaddr.Memo // of datagrams
	recent *recents

	mu      sync.Mutex
	packets map[userID]*packets // guarded by mu
}

func newMemory() *memory {
	return &memory{seen: replay.NewDigests(rememberedPackets), recent: newRecents(), packets: map[userID]*packets{}}
}

// packetsOf returns the packets of a user. The value stays the same as long as the user
// exists.
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

// prune drops the packets of users for which known returns false.
func (m *memory) prune(known func(userID) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.packets {
		if !known(id) {
			delete(m.packets, id)
		}
	}
}
