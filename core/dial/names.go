package dial

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Bounds are the bounds on names that hold for the whole process, from [process].
type Bounds struct {
	Lookups     int // lookups under way by the operating system's resolver
	Client      int // how many of them may be for one client address, or for one user; 0 for half
	Association int // names of one UDP association
}

// associationNames is the default of Bounds.Association.
const associationNames = 256

// Names holds a process to its Bounds. The zero Names, and nil, have no bound on lookups
// and the default bound on associations.
type Names struct {
	system      Slots
	association atomic.Int32
	log         atomic.Pointer[slog.Logger]
	slow, lost  core.Alarm
}

// NamesOf returns the Names of a process.
func NamesOf(p *core.Process) *Names { return core.Shared[Names](p) }

// Limit sets the bounds, and the log for what they delay or drop.
func (n *Names) Limit(b Bounds, log *slog.Logger) {
	n.system.Limit(b.Lookups, Half(b.Client, b.Lookups))
	n.association.Store(int32(b.Association))
	n.log.Store(log)
}

// Half returns the bound of one client within a bound in all: each or, if each is 0,
// half of all. It is 2 at least, one for each family of a name, and at most all.
func Half(each, all int) int {
	if each == 0 {
		each = max(2, all/2)
	}
	return min(each, all)
}

// acquire waits for a slot for a lookup of name.
func (n *Names) acquire(ctx context.Context, a Asker, name string) error {
	if n == nil || n.system.Try(a) {
		return nil
	}
	if count, say := n.slow.Count(time.Now()); say {
		n.warn("lookups wait for their turn: raise client_lookups or max_lookups in [process], or look for a client that asks for dead names",
			slog.Int("lookups", count), slog.String("client", a.String()), slog.String("name", name))
	}
	if err := n.system.Acquire(ctx, a); err != nil {
		return &net.DNSError{Err: err.Error(), UnwrapErr: err, Name: name, IsTemporary: true}
	}
	return nil
}

// try takes a slot if one is free.
func (n *Names) try(a Asker) bool { return n == nil || n.system.Try(a) }

func (n *Names) release(a Asker) {
	if n != nil {
		n.system.Release(a)
	}
}

// OfAssociation returns the bound on the names of one association. See ResolvePackets for
// the bounds that follow from it.
func (n *Names) OfAssociation() int {
	if n != nil {
		if bound := n.association.Load(); bound > 0 {
			return int(bound)
		}
	}
	return associationNames
}

// Dropped counts a datagram of r to a name that was dropped by a bound, for the log.
func (n *Names) Dropped(r *core.Request, name string) {
	if n == nil {
		return
	}
	if count, say := n.lost.Count(time.Now()); say {
		n.warn("datagrams to new names were dropped: raise association_names in [process]",
			slog.Int("datagrams", count), slog.String("client", r.Client.Addr.String()), slog.String("user", r.User), slog.String("name", name))
	}
}

func (n *Names) warn(text string, attrs ...slog.Attr) {
	if log := n.log.Load(); log != nil {
		log.LogAttrs(context.Background(), slog.LevelWarn, text, attrs...)
	}
}
