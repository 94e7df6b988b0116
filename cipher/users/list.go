package users

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/option"
)

// List is who may use a server. It follows its file while it runs.
type List struct {
	env    core.Env
	opts   Options
	grants *grants
	users  []User
	file   *follow.File // nil without one
}

// Open reads the users that o gives, and grants them what they are served under once
// the table is served. Its errors name the key to mend.
func Open(env core.Env, o Options) (*List, error) {
	users, file, err := o.read()
	if err != nil {
		return nil, err
	}
	l := &List{env: env, opts: o, users: users, file: file}
	core.Keep(env, func(old *grants) *grants {
		if old == nil {
			old = &grants{all: map[identity]*core.Grant{}}
		}
		l.grants = old
		l.grant(l.users)
		return old
	})
	if file != nil && file.Info().Mode().Perm()&0o004 != 0 {
		env.Log.Warn("everyone on this machine can read the secrets of users", slog.String("file", o.UsersFile))
	}
	return l, nil
}

// Users returns who was read last, sorted by name. Their grants are there once the table
// is served: the functions that a constructor gives to core.Keep after Open find them.
func (l *List) Users() []User { return l.users }

// grant gives each user a grant, if something is to be cut. It reports whether any
// is another one than before.
func (l *List) grant(users []User) (changed bool) {
	if !l.opts.CutRemoved {
		return false
	}
	for i, u := range users {
		users[i].Grant = l.grants.of(u)
		changed = changed || users[i].Grant != u.Grant
	}
	return changed
}

// Run follows the file until ctx ends, and passes who is in it to apply each time
// that changes. A file that is wrong, or that apply refuses, changes nothing and is
// logged once.
func (l *List) Run(ctx context.Context, apply func([]User) error) {
	l.grants.take(l)
	if users := slices.Clone(l.users); l.grant(users) { // the older file's list has ended some, between Open and now
		l.users = users
		if err := apply(users); err != nil {
			l.env.Log.Error("users stay as they were", slog.Any("err", err))
		}
	}
	l.settle()
	if l.file == nil {
		return
	}
	follow.Watch(ctx, l.env.Log, "users stay as they were", func() error { return l.look(apply) })
}

// look reads the file if it has changed.
func (l *List) look(apply func([]User) error) error {
	if changed, err := l.file.Changed(); !changed || err != nil {
		return err
	}
	users, err := readFile(l.file)
	if err != nil {
		return err
	}
	l.grant(users)
	if err := apply(users); err != nil {
		return fmt.Errorf("%s: %w", l.opts.UsersFile, err)
	}
	added, removed := compare(l.users, users)
	l.users = users
	cut := l.settle()
	l.env.Log.Info("users read", slog.Int("users", len(users)), slog.Int("added", added), slog.Int("removed", removed), slog.Int("cut", cut))
	return nil
}

// settle ends the grants of those who are not among the users any more. It returns
// how many connections that cut.
func (l *List) settle() int {
	if !l.opts.CutRemoved {
		return 0
	}
	return l.grants.keep(l)
}

// compare counts whom only after has, and whom only before had. One whose secret
// changed is both.
func compare(before, after []User) (added, removed int) {
	known := make(map[identity]bool, len(before))
	for _, u := range before {
		known[u.identity()] = true
	}
	for _, u := range after {
		if known[u.identity()] {
			delete(known, u.identity())
		} else {
			added++
		}
	}
	return added, len(known)
}

// identity is a user with the secret; another secret makes another one.
type identity struct {
	name   string
	secret option.Text
}

func (u User) identity() identity { return identity{u.Name, u.Secret} }

// grants is the grants of a server's users. It is kept over a reload.
type grants struct {
	mu    sync.Mutex
	all   map[identity]*core.Grant // guarded by mu, as is owner
	owner *List                    // who decides: the one that ran last
}

// of returns the grant of a user.
func (g *grants) of(u User) *core.Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := g.all[u.identity()]; at == nil || at.HasEnded() {
		g.all[u.identity()] = new(core.Grant)
	}
	return g.all[u.identity()]
}

// take makes l the list that decides. After a reload that of the old file has no
// say any more.
func (g *grants) take(l *List) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owner = l
}

// keep ends all grants but those of the users of l, if it decides. It returns how
// many connections that cut.
func (g *grants) keep(l *List) (cut int) {
	current := make(map[identity]bool, len(l.users))
	for _, u := range l.users {
		current[u.identity()] = true
	}
	var ended []*core.Grant
	g.mu.Lock()
	for id, grant := range g.all {
		if g.owner == l && !current[id] {
			delete(g.all, id)
			ended = append(ended, grant)
		}
	}
	g.mu.Unlock()
	for _, grant := range ended {
		cut += grant.Revoke(errRemoved)
	}
	return cut
}

// errRemoved is why a connection was cut.
var errRemoved = fmt.Errorf("%w: the user was removed", core.ErrDenied)
