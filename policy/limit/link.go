package limit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/policy/store"
)

// link is a store with the mirror that copies counts to it and back.
type link struct {
	place  store.Place
	store  store.Store // nil for memory, as is mirror
	mirror *store.Mirror
}

// newNode returns a unique name for this process. The counts of an ended process stay
// in the sum, so a name need not outlive its process.
func newNode() string { return rand.Text()[:16] }

// nodeKey is the key of the node name in a file. A file is used by one process after
// another, and each continues the entries of the one before.
const nodeKey = "node"

// nodeKept is the lifetime of that entry.
const nodeKept = 100 * 365 * 24 * time.Hour

// newLink returns the link to the store s at a place; s is nil for memory. The counts
// of a file are loaded here, before any request is served.
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

// loadTimeout bounds the load from a slow store: the mirror compares both sides later.
const loadTimeout = 2 * time.Second

// load merges the store's counts for a period that has just begun. Usually there are
// none.
func (l *link) load(ctx context.Context, us *users) {
	if l.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	_ = l.store.Load(ctx, us.prefix, usage{us}.Merge) // the mirror logs that a store is unreachable
}

// resume continues the counts of a file under the file's node name. If bytes have
// already been counted the process keeps its own name, and the counts under the
// file's name stay in the sum.
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
