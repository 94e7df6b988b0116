package users

import (
	"fmt"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// grants are the grants of a server's users who have connected. They are kept over a reload.
// A user with a changed secret is another user.
type grants struct {
	mu      sync.Mutex
	all     map[User]*core.Grant // guarded by mu, as all that follows; none of them has ended
	owner   *List                // the only List that may end grants: the last to serve
	current []User               // the users who may have a grant, sorted by name; nil if the owner cuts nobody
}

// own makes l the owner, with the users that it has. After a reload the List of the previous
// generation can no longer end grants.
func (g *grants) own(l *List) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owner, g.current = l, nil
	if l.opts.CutRemoved {
		g.current = l.users
	}
}

// leave lets go of the users if l, which ends, is still the owner.
func (g *grants) leave(l *List) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owner == l {
		g.current = nil
	}
}

// isOwner reports whether l is the owner.
func (g *grants) isOwner(l *List) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.owner == l
}

// admit makes list the users who may have a grant, if l is the owner. It ends no grant.
func (g *grants) admit(l *List, list []User) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owner == l && l.opts.CutRemoved {
		g.current = list
	}
}

// of returns the grant of u, which it creates at the first call. That of a user who has been
// removed has ended.
func (g *grants) of(u User) *core.Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	grant := g.all[u]
	if grant != nil {
		return grant
	}
	if grant = new(core.Grant); g.owner.opts.CutRemoved && !contains(g.current, u) {
		grant.Revoke(errRemoved)
		return grant
	}
	g.all[u] = grant
	return grant
}

// settle ends the grants of all who are no current users, if l is the owner. It returns the
// number of connections that this cut.
func (g *grants) settle(l *List) (cut int) {
	var ended []*core.Grant
	g.mu.Lock()
	for u, grant := range g.all {
		if g.owner == l && !contains(g.current, u) {
			delete(g.all, u)
			ended = append(ended, grant)
		}
	}
	g.mu.Unlock()
	for _, grant := range ended {
		cut += grant.Revoke(errRemoved)
	}
	return cut
}

// errRemoved is the reason for cutting the connections of a removed user.
var errRemoved = fmt.Errorf("%w: the user was removed", core.ErrDenied)
