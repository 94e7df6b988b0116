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
	"github.com/umbra-proxy/umbra/core/textfile"
)

// List holds the users of a server. While Run runs, it follows the user file.
type List struct {
	env    core.Env
	opts   Options
	grants *grants
	users  []User
	file   *follow.File // nil without a user file
}

// Open reads the users that o specifies, and gives them grants once the table serves.
// Errors name the option to correct.
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
	if file != nil {
		textfile.WarnIfExposed(env.Log, o.UsersFile)
	}
	return l, nil
}

// Users returns the users of the last successful read, sorted by name. Their grants are
// set once the table serves: functions that a constructor gives to core.Keep after Open
// find them set.
func (l *List) Users() []User { return l.users }

// grant gives each user a grant if CutRemoved is set. It returns true if a user's
// grant differs from before.
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

// Run follows the user file until ctx ends, and calls apply with the users after each
// change. If the file is invalid, or apply returns an error, the users stay as they
// were and the error is logged once.
func (l *List) Run(ctx context.Context, apply func([]User) error) {
	l.grants.own(l)
	if users := slices.Clone(l.users); l.grant(users) { // the previous generation's list may have ended grants since Open
		l.users = users
		if err := apply(users); err != nil {
			l.env.Log.Error("user file not applied: users unchanged", slog.Any("err", err))
		}
	}
	l.settle()
	if l.file == nil {
		return
	}
	follow.Watch(ctx, l.env.Log, "user file not applied: users unchanged", func() error { return l.reload(apply) })
}

// reload reads the file if it has changed.
func (l *List) reload(apply func([]User) error) error {
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

// settle ends the grants of users that are no longer in the list. It returns the
// number of connections that this cut.
func (l *List) settle() int {
	if !l.opts.CutRemoved {
		return 0
	}
	return l.grants.keep(l)
}

// compare counts the users that are only in after, and those that are only in before.
// A user with a changed secret counts as both.
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

// identity is a user with a secret. A changed secret is another identity.
type identity struct {
	name   string
	secret option.Text
}

func (u User) identity() identity { return identity{u.Name, u.Secret} }

// grants are the grants of a server's users. They are kept over a reload.
type grants struct {
	mu    sync.Mutex
	all   map[identity]*core.Grant // guarded by mu, as is owner
	owner *List                    // the only List that may end grants: the last to Run
}

// of returns the grant of a user. If there is no valid grant, it creates one.
func (g *grants) of(u User) *core.Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := g.all[u.identity()]; at == nil || at.HasEnded() {
		g.all[u.identity()] = new(core.Grant)
	}
	return g.all[u.identity()]
}

// own makes l the owner. After a reload the List of the previous generation can no
// longer end grants.
func (g *grants) own(l *List) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owner = l
}

// keep ends all grants except those of the users of l, if l is the owner. It returns
// the number of connections that this cut.
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

// errRemoved is the reason for cutting the connections of a removed user.
var errRemoved = fmt.Errorf("%w: the user was removed", core.ErrDenied)
