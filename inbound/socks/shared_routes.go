package socks

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// routes tells the associations of shared sockets apart by the addresses of their clients.
type routes struct {
	mu      sync.Mutex
	pinned  map[source]*associate   // guarded by mu, as is waiting
	waiting map[source][]*associate // those whose port is not known yet, the oldest first; port 0
}

// source is where the datagrams of an association come from.
type source struct {
	socket *netio.UDPSocket
	addr   netip.AddrPort // without a zone
}

func newRoutes() *routes {
	return &routes{pinned: map[source]*associate{}, waiting: map[source][]*associate{}}
}

// source returns where the datagrams of the association come from; routes.mu is held.
func (a *associate) source() source { return source{a.socket, netip.AddrPortFrom(a.client, a.port)} }

// add adds an association. Of those of one address that can't be told apart it refuses the
// new one, unless both are one user's: then one that named the port of an older one has
// its place, and the caller cuts that; and of those that named none each new port gets the
// oldest.
func (r *routes) add(a *associate) (cut *associate, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := a.source()
	if a.port != 0 {
		if cut = r.pinned[at]; cut != nil && cut.user != a.user {
			return nil, fmt.Errorf("%w: %s has an association of another user", core.ErrCrowded, at.addr)
		}
		r.pinned[at] = a
		return cut, nil
	}
	if others := r.waiting[at]; len(others) > 0 && others[0].user != a.user {
		return nil, fmt.Errorf("%w: an association of another user waits for its first datagram from %s", core.ErrCrowded, a.client)
	}
	r.waiting[at] = append(r.waiting[at], a)
	return nil, nil
}

// find returns the association that a datagram from an address belongs to, or nil. A valid
// one from a new port belongs to the oldest one that waits, and fixes its port.
func (r *routes) find(socket *netio.UDPSocket, from netip.AddrPort, valid bool) *associate {
	ip := from.Addr().WithZone("")
	at := source{socket, netip.AddrPortFrom(ip, from.Port())}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.pinned[at]
	if others := r.waiting[source{socket, netip.AddrPortFrom(ip, 0)}]; a == nil && valid && len(others) > 0 {
		a = others[0]
		r.unwait(a)
		r.pinned[at], a.port = a, from.Port()
	}
	return a
}

// remove removes an association. It may be called again.
func (r *routes) remove(a *associate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := a.source(); r.pinned[at] == a {
		delete(r.pinned, at)
	}
	r.unwait(a)
}

// unwait removes an association from those that wait. mu is held.
func (r *routes) unwait(a *associate) {
	at := source{a.socket, netip.AddrPortFrom(a.client, 0)}
	others := r.waiting[at]
	if i := slices.Index(others, a); i >= 0 {
		r.waiting[at] = slices.Delete(others, i, i+1)
	}
	if len(r.waiting[at]) == 0 {
		delete(r.waiting, at)
	}
}

// of returns the associations on a socket.
func (r *routes) of(socket *netio.UDPSocket) (all []*associate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.pinned {
		if a.socket == socket {
			all = append(all, a)
		}
	}
	for _, list := range r.waiting {
		for _, a := range list {
			if a.socket == socket {
				all = append(all, a)
			}
		}
	}
	return all
}
