package limit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/policy/store"
)

// link is a store with what carries counts there and back.
type link struct {
	place  store.Place
	store  store.Store // nil for memory, as is mirror
	mirror *store.Mirror
}

// newNode returns a name that no other process has. One that ended goes on counting
// in the sum, so a process needs no name that outlives it.
func newNode() string { return rand.Text()[:16] }

// nodeKey is under which a file has the name of its node: it has one process after
// the other, and each goes on with the entries of the one before.
const nodeKey = "node"

// nodeKept is for how long.
const nodeKept = 100 * 365 * 24 * time.Hour

// newLink returns the link to the store at a place, nil for memory. What a file has is
// known before anything is served.
func newLink(env core.Env, place store.Place, s store.Store, us *users) *link {
	l := &link{place: place, store: s}
	if s == nil {
		return l
	}
	l.mirror = store.NewMirror(s, us.prefix, usage{us}, env.Log)
	if f, ok := s.(*store.File); ok {
		if err := us.resume(f, time.Now()); err != nil {
			env.Log.Error("counts not read from the file", slog.Any("err", err))
		}
	}
	return l
}

// hearTimeout bounds a call to a store that is slow: it is compared with later.
const hearTimeout = 2 * time.Second

// hear takes in what the store has of a period that has begun. Most often that is
// nothing.
func (l *link) hear(ctx context.Context, us *users) {
	if l.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hearTimeout)
	defer cancel()
	_ = l.store.Load(ctx, us.prefix, usage{us}.Merge) // the mirror tells of a store that is away
}

// resume goes on with what a file has. It must come before anything is counted, or the
// process keeps its own name, and the file's other one counts in the sum.
func (us *users) resume(f *store.File, now time.Time) error {
	ctx, known := context.Background(), ""
	if err := f.Load(ctx, us.prefix+nodeKey, func(e store.Entry) { known = string(e.Value) }); err != nil {
		return err
	}
	us.mu.Lock()
	if len(us.all) == 0 && known != "" && len(known) <= maxNode {
		us.node = known
	}
	node := us.node
	us.mu.Unlock()
	if node != known {
		e := store.Entry{Key: us.prefix + nodeKey, Value: []byte(node), At: now, Until: now.Add(nodeKept)}
		if err := f.Put(ctx, e); err != nil {
			return err
		}
	}
	return f.Load(ctx, us.prefix, usage{us}.Merge)
}
