package users

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// List holds the users of a server. While Run runs, it follows the user file.
type List struct {
	env    core.Env
	opts   Options                // all but Users is immutable
	grants *grants                // nil until the table serves
	file   *follow.Parsed[[]User] // nil without a user file; used by Open, then by Run

	mu      sync.Mutex
	users   []User             // guarded by mu, as all that follows; shared, so nobody changes it
	retired bool               // no new connection will need the users
	stop    context.CancelFunc // ends Run; nil before
}

// Open reads the users that o specifies. They have grants once the table serves. Errors name
// the option to correct.
func Open(env core.Env, o Options) (*List, error) {
	users, file, err := o.read(core.Shared[follow.Files](env.Process))
	if err != nil {
		return nil, err
	}
	l := &List{env: env, opts: o, users: users, file: file}
	core.Keep(env, func(old *grants) *grants {
		if old == nil {
			old = &grants{all: map[User]*core.Grant{}}
		}
		l.grants = old
		old.own(l)
		return old
	})
	if file != nil {
		textfile.WarnIfExposed(env.Log, o.UsersFile)
	}
	return l, nil
}

// Users returns the users of the last successful read, sorted by name. They are shared, so
// nobody may change them.
func (l *List) Users() []User {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.users
}

// Grant returns the grant of the connections of u, who is or was a user of l; nil without
// CutRemoved, and if l is nil.
func (l *List) Grant(u User) *core.Grant {
	if l == nil || !l.opts.CutRemoved {
		return nil
	}
	return l.grants.of(u)
}

// Run follows the user file until ctx ends, and calls apply with the users after each
// change. If the file is invalid, or apply returns an error, the users stay as they
// were and the error is logged once.
func (l *List) Run(ctx context.Context, apply func([]User) error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !l.begin(stop) || l.file == nil {
		l.file = nil // lets go of its content: connections may live on
		return
	}
	defer l.end()
	follow.Watch(ctx, l.env.Log, "user file not applied: users unchanged", func() error { return l.reload(apply) })
}

// end lets go of the file's content, and of what is known for cutting users. The connections
// of other ciphers of the generation may live on.
func (l *List) end() {
	l.file = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		l.grants.leave(l)
	}
}

// begin cuts the users whom only the previous generation had. It returns false if the list
// has been retired.
func (l *List) begin(stop context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	l.stop = stop
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
	users := l.file.Value()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		if l.opts.CutRemoved && l.grants.isOwner(l) {
			l.grants.admit(l, users)
			l.settle()
		} else {
			l.stop()
		}
		return nil
	}
	l.grants.admit(l, users) // new users may connect as soon as apply has been called
	if err := apply(users); err != nil {
		l.grants.admit(l, l.users)
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
	return l.grants.settle(l)
}
