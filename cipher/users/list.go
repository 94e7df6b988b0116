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
	file   *follow.Parsed[[]User] // nil without a user file; used by Open, then by Run

	mu      sync.Mutex
	users   []User             // guarded by mu, as all that follows; shared, so nobody changes it
	retired bool               // no new connection will need the users
	stop    context.CancelFunc // ends Run; nil before
}

// Open reads the users that o specifies, and gives them grants once the table serves.
// Errors name the option to correct.
func Open(env core.Env, o Options) (*List, error) {
	users, file, err := o.read(core.Shared[follow.Files](env.Process))
	if err != nil {
		return nil, err
	}
	l := &List{env: env, opts: o, users: users, file: file}
	core.Keep(env, func(old *grants) *grants {
		if old == nil {
			old = &grants{all: map[identity]*core.Grant{}}
		}
		l.grants = old
		l.users, _ = l.grant(l.users)
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
func (l *List) Users() []User {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.users
}

// Table returns the table that build makes of the users of l. Tables of one method and of one
// content of a user file are shared, unless they hold grants. Only the constructor and the
// function that Run calls may call Table.
func Table[T any](l *List, method string, users []User, build func([]User) (*T, error)) (*T, error) {
	if l.file == nil || l.opts.CutRemoved {
		return build(users)
	}
	return follow.Derive(l.file, method, build)
}

// grant returns the users with a grant for each if CutRemoved is set. changed is true if a
// user's grant differs from before.
func (l *List) grant(users []User) (granted []User, changed bool) {
	if !l.opts.CutRemoved {
		return users, false
	}
	granted = slices.Clone(users)
	for i, u := range users {
		granted[i].Grant = l.grants.of(u)
		changed = changed || granted[i].Grant != u.Grant
	}
	return granted, changed
}

// Run follows the user file until ctx ends, and calls apply with the users after each
// change. If the file is invalid, or apply returns an error, the users stay as they
// were and the error is logged once.
func (l *List) Run(ctx context.Context, apply func([]User) error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer func() { l.file = nil }() // lets go of its content: connections may live on
	if !l.begin(stop, apply) || l.file == nil {
		return
	}
	follow.Watch(ctx, l.env.Log, "user file not applied: users unchanged", func() error { return l.reload(apply) })
}

// begin gives the users the grants that are valid now. It returns false if the list has
// been retired.
func (l *List) begin(stop context.CancelFunc, apply func([]User) error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	l.stop = stop
	l.grants.own(l)
	if users, changed := l.grant(l.users); changed { // the previous generation's list may have ended grants since Open
		l.users = users
		if err := apply(users); err != nil {
			l.env.Log.Error("user file not applied: users unchanged", slog.Any("err", err))
		}
	}
	l.settle()
	return true
}

// Retire lets go of the users, when no new connection will need them. If connections of
// removed users are to be cut and no other list has taken that over, Run continues to
// follow the user file for them. apply is not called any more.
func (l *List) Retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired, l.users, l.opts.Users = true, nil, nil
	if l.stop != nil && !(l.opts.CutRemoved && l.grants.isOwner(l)) {
		l.stop()
	}
}

// reload reads the file if it has changed.
func (l *List) reload(apply func([]User) error) error {
	change, err := l.file.Changed()
	if change == follow.Unchanged || err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		if l.opts.CutRemoved && l.grants.isOwner(l) {
			l.grants.keep(l, l.file.Value())
		} else {
			l.stop()
		}
		return nil
	}
	users, _ := l.grant(l.file.Value())
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
	return l.grants.keep(l, l.users)
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

// isOwner reports whether l is the owner.
func (g *grants) isOwner(l *List) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.owner == l
}

// keep ends all grants except those of users, if l is the owner. It returns the number of
// connections that this cut.
func (g *grants) keep(l *List, users []User) (cut int) {
	current := make(map[identity]bool, len(users))
	for _, u := range users {
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
