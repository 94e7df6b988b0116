package aead

import (
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// served is a table of users with the packets of those that have sent datagrams.
type served struct {
	*userTable
	packets []atomic.Pointer[packets] // of All, nil before the first datagram
}

func serve(t *userTable) *served {
	return &served{t, make([]atomic.Pointer[packets], len(t.All))}
}

// packetsOf returns the packets of u, a user of t.
func (c *Cipher) packetsOf(t *served, u *user) *packets {
	at := &t.packets[t.byID[u.id]]
	p := at.Load()
	if p == nil {
		p = c.memory.packetsOf(c, u)
		at.Store(p)
	}
	return p
}

// grantOf returns the grant of the connections of u, or nil.
func (c *Cipher) grantOf(u *user) *core.Grant {
	if u.Name == "" {
		return nil
	}
	return c.list.Grant(u.User)
}

// memory is the state of a server that is kept over a reload, except the salts.
type memory struct {
	seen   *replay.Digests
	memo   socksaddr.Memo // of datagrams
	recent *recents

	found, missed atomic.Uint64 // searches through the users, by their results

	mu      sync.Mutex
	packets map[userID]*packets // of users that have sent datagrams; guarded by mu
}

func newMemory() *memory {
	return &memory{seen: replay.NewDigests(rememberedPackets), recent: newRecents(), packets: map[userID]*packets{}}
}

// packetsOf returns the packets of a user of c. The value stays the same as long as the user
// exists.
func (m *memory) packetsOf(c *Cipher, u *user) *packets {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.packets[u.id]
	if p == nil {
		p = &packets{spec: c.spec, user: u, seen: m.seen, memo: &m.memo}
		p.grant.Store(c.grantOf(u))
		m.packets[u.id] = p
	}
	return p
}

// adopt has c serve the packets: those of users that c does not have are dropped, all others
// get the grants that c gives.
func (m *memory) adopt(c *Cipher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.packets {
		if c.hasUser(id) {
			p.grant.Store(c.grantOf(p.user))
		} else {
			delete(m.packets, id)
		}
	}
}
