package aead

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// maxRecent is the number of users remembered per client address. A shared address
	// may have more; the others are found by trying all users.
	maxRecent = 16
	// maxClients is the number of client addresses remembered. At the limit they take 8
	// MiB.
	maxClients = 1 << 14
	// maxLikely is the number of users that are tried before all others for a client
	// address that is not known.
	maxLikely = 32
)

// recents records which users were last seen at which client addresses (IPv6: /64). It
// contains authenticated users only. It is safe for concurrent use.
type recents struct {
	mu      sync.Mutex
	clients *simplelru.LRU[netip.Addr, []userID] // the users of each address, the latest first; guarded by mu
	latest  []userID                             // the users last found at an address that was new to them, the latest first; guarded by mu
}

func newRecents() *recents {
	l, err := simplelru.NewLRU[netip.Addr, []userID](maxClients, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &recents{clients: l}
}

// at appends to ids the users that were last seen at client, the latest first.
func (r *recents) at(client netip.Addr, ids []userID) []userID {
	client = core.SourceOf(client).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	users, _ := r.clients.Get(client)
	return append(ids, users...)
}

// add records that a user was seen at client.
func (r *recents) add(client netip.Addr, id userID) {
	client = core.SourceOf(client).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	users, _ := r.clients.Peek(client)
	r.clients.Add(client, toFront(users, id, maxRecent))
	r.latest = toFront(r.latest, id, maxLikely)
}

// likely appends to ids the users that were last found at any address, the latest first.
func (r *recents) likely(ids []userID) []userID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(ids, r.latest...)
}

// toFront moves id to the front of ids, which have most elements at most.
func toFront(ids []userID, id userID, most int) []userID {
	if i := slices.Index(ids, id); i >= 0 {
		ids = slices.Delete(ids, i, i+1)
	}
	return slices.Insert(ids[:min(len(ids), most-1)], 0, id)
}
