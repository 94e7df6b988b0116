package aead

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"

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
	mu       sync.Mutex
	byClient map[netip.Addr]*list.Element // of *recent; guarded by mu
	order    *list.List                   // the longest unused last
}

// recent is one client address.
type recent struct {
	client netip.Addr
	users  []userID // the last one first
}

func newRecents() *recents {
	return &recents{byClient: map[netip.Addr]*list.Element{}, order: list.New()}
}

// at appends to ids those who were last seen at client, the last one first.
func (r *recents) at(client netip.Addr, ids []userID) []userID {
	client = core.SourceOf(client).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.byClient[client]; e != nil {
		r.order.MoveToFront(e)
		ids = append(ids, e.Value.(*recent).users...)
	}
	return ids
}

// saw notes that a user was seen at client.
func (r *recents) saw(client netip.Addr, id userID) {
	client = core.SourceOf(client).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byClient[client]
	if e == nil {
		e = r.order.PushFront(&recent{client: client})
		r.byClient[client] = e
		if oldest := r.order.Back(); r.order.Len() > maxClients {
			delete(r.byClient, r.order.Remove(oldest).(*recent).client)
		}
	}
	c := e.Value.(*recent)
	if i := slices.Index(c.users, id); i >= 0 {
		c.users = slices.Delete(c.users, i, i+1)
	}
	c.users = slices.Insert(c.users[:min(len(c.users), maxRecent-1)], 0, id)
}
