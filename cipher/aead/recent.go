package aead

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// maxRecent is how many users are remembered of one client address. Behind a
	// shared one there may be more; those are looked for among all.
	maxRecent = 16
	// maxClients is how many client addresses are remembered. At the bound they
	// take 8 MiB.
	maxClients = 1 << 14
)

// recents knows which users were last seen at which client addresses (IPv6: one
// /64). Only who has proved a key gets into it. It is safe for concurrent use.
type recents struct {
	mu      sync.Mutex
	clients *simplelru.LRU[netip.Addr, []userID] // the users of each, the last one first; guarded by mu
}

func newRecents() *recents {
	l, err := simplelru.NewLRU[netip.Addr, []userID](maxClients, nil)
	if err != nil {
		panic(err) // it is for a bound below 1 alone
	}
	return &recents{clients: l}
}

// at appends to ids those who were last seen at client, the last one first.
func (r *recents) at(client netip.Addr, ids []userID) []userID {
	client = core.SourceOf(client).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	users, _ := r.clients.Get(client)
	return append(ids, users...)
}

// saw notes that a user was seen at client.
func (r *recents) saw(client netip.Addr, id userID) {
	client = core.SourceOf(client).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	users, _ := r.clients.Peek(client)
	if i := slices.Index(users, id); i >= 0 {
		users = slices.Delete(users, i, i+1)
	}
	r.clients.Add(client, slices.Insert(users[:min(len(users), maxRecent-1)], 0, id))
}
