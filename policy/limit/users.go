package limit

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// maxUsers is the maximum number of users in memory.
const maxUsers = 1 << 16

// users counts the connections and the bytes of users. It belongs to the process and
// outlives a reload.
type users struct {
	log    *slog.Logger
	prefix string // of the keys in a store
	node   string // names this process among those that share a store

	up, down shaper               // of all users together
	link     atomic.Pointer[link] // of the generation that serves
	refused  refusals

	mu      sync.Mutex
	options *Options // guarded by mu, as is all that follows
	all     map[string]*user
	flows   map[*core.Flow]*meter // the running flows
	begins  time.Time             // the period of quotas
	ends    time.Time
	turned  bool // a period has begun, and the store's counts for it are not loaded yet
	warned  bool // requests without a user name have been logged
}

// user is one user.
type user struct {
	name     string
	up, down shaper

	own    atomic.Int64 // bytes in this period, on this node
	others atomic.Int64 // bytes in this period, on other nodes, less those that were forgiven
	quota  atomic.Int64 // in bytes; 0 for no quota

	// guarded by users.mu
	bounds
	connections int
	sessions    sessions      // of the connections, the UDP sessions
	rate        *rate.Limiter // of new connections; nil until the first
	sent        record        // the count last sent to the store
	nodes       map[string]record
	forgiven    record // bytes that resets have forgiven
	logged      bool   // the spent quota has been logged
}

// record is the byte count of a node at a time.
type record struct {
	bytes int64
	at    time.Time
}

func newUsers(env core.Env, node string, o *Options, now time.Time) *users {
	us := &users{
		log: env.Log, prefix: "limit/" + env.Name + "/", node: node,
		all: map[string]*user{}, flows: map[*core.Flow]*meter{},
	}
	us.configure(o, now)
	return us
}

// configure applies the options, to running flows too.
func (us *users) configure(o *Options, now time.Time) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.options = o
	us.up.set(o.Bandwidth.Up, now)
	us.down.set(o.Bandwidth.Down, now)
	us.turn(now)
	for _, u := range us.all {
		u.configure(o.of(u.name), now)
	}
}

func (u *user) configure(b bounds, now time.Time) {
	u.bounds, u.logged = b, false
	u.quota.Store(int64(b.quota))
	u.up.set(b.bandwidth.Up, now)
	u.down.set(b.bandwidth.Down, now)
}

// turn begins a new period if the current one has ended. mu is held.
func (us *users) turn(now time.Time) {
	begins, ends := periodOf(now, us.options.QuotaResetDay)
	if begins.Equal(us.begins) {
		return
	}
	us.turned = !us.begins.IsZero()
	us.begins, us.ends = begins, ends
	for _, u := range us.all {
		u.own.Store(0)
		u.others.Store(0)
		u.sent, u.nodes, u.forgiven, u.logged = record{}, nil, record{}, false
	}
}

// user returns the user with a name, and adds it if necessary. It returns nil if the
// table is full. mu is held.
func (us *users) user(name string, now time.Time) *user {
	u := us.all[name]
	if u == nil && len(us.all) < maxUsers {
		u = &user{name: name}
		u.configure(us.options.of(name), now)
		us.all[name] = u
	}
	return u
}

// enter counts a flow for its user and returns the flow's meter, or an error if a
// limit of the user is reached. At the limit on connections the flow may have the place of a
// silent UDP session, whose flow the caller cuts.
func (us *users) enter(name string, f *core.Flow, now time.Time) (m *meter, cut *core.Flow, err error) {
	us.mu.Lock()
	defer us.mu.Unlock()
	m = &meter{users: us}
	if name == "" && !us.options.Nameless {
		if !us.warned && us.options.boundsUsers() {
			us.warned = true
			us.log.Warn("limits on users do not apply to requests without a user; set nameless = true to count these as one user's")
		}
		return m, nil, nil
	}
	us.turn(now)
	m.user = us.user(name, now)
	if m.user == nil {
		us.refused[tableFull].Add(1)
		return nil, nil, fmt.Errorf("%w by policy: the table of users is full: %d users", core.ErrDenied, maxUsers)
	}
	silent, why, err := us.admit(m.user, now)
	if err != nil {
		us.refused[why].Add(1)
		return nil, nil, err
	}
	if silent != nil {
		cut = silent.flow
		us.remove(cut)
	}
	m.user.connections++
	us.flows[f] = m
	return m, cut, nil
}

// admit returns an error if the user may not have one more flow. It returns the UDP session
// that must give its place, if one must. mu is held.
func (us *users) admit(u *user, now time.Time) (silent *session, why refusal, err error) {
	if u.isSpent() {
		return nil, quotaSpent, us.spent(u)
	}
	if most := u.bounds.connections; most > 0 && u.connections >= most {
		if u.connections == most {
			silent = u.sessions.idle(us.options.UDPIdle.Std(), now)
		}
		if silent == nil {
			return nil, userConnections, fmt.Errorf("%w by policy: the user has %d connections already", core.ErrDenied, u.connections)
		}
	}
	if !allow(&u.rate, u.perSecond, us.options, now) {
		return nil, userRate, fmt.Errorf("%w by policy: the user opens too many connections a second", core.ErrDenied)
	}
	return silent, 0, nil
}

// isSpent reports whether the user has no bytes left in this period.
func (u *user) isSpent() bool {
	quota := u.quota.Load()
	return quota > 0 && u.own.Load()+u.others.Load() >= quota
}

// spent returns the error for a user whose quota is spent. mu is held.
func (us *users) spent(u *user) error {
	return fmt.Errorf("%w by policy: the quota of %s is spent until %s", core.ErrDenied, option.Size(u.quota.Load()), us.ends.Format(time.DateOnly))
}

// leave removes a flow that enter has counted. A second call does nothing.
func (us *users) leave(f *core.Flow) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.remove(f)
}

// remove is leave. mu is held.
func (us *users) remove(f *core.Flow) {
	if m := us.flows[f]; m != nil {
		delete(us.flows, f)
		m.user.sessions.remove(f)
		m.user.connections--
	}
}

// tick runs every second. It begins a new period if one is due, cuts the flows of
// users whose quota is spent, removes users without any state, and calls put with
// each changed count. It returns true if a period has begun: put is not called then,
// because the store's counts for that period must be loaded first.
func (us *users) tick(now time.Time, put func(store.Entry)) (turned bool) {
	var changed []store.Entry
	causes := map[*user]error{}
	cut := map[*core.Flow]error{}
	us.mu.Lock()
	us.turn(now)
	turned, us.turned = us.turned, false
	for name, u := range us.all {
		u.sessions.look(now)
		if !turned {
			if e, ok := us.changedEntry(u, now); ok {
				changed = append(changed, e)
			}
		}
		switch {
		case u.isSpent():
			if causes[u] = us.spent(u); !u.logged {
				u.logged = true
				us.log.Info("quota spent", slog.String("user", name), slog.Int64("bytes", u.own.Load()+u.others.Load()))
			}
		case u.isUnused(now):
			delete(us.all, name)
		}
	}
	if len(causes) > 0 {
		for f, m := range us.flows {
			if cause := causes[m.user]; cause != nil {
				cut[f] = cause
			}
		}
	}
	us.mu.Unlock()
	for _, e := range changed {
		put(e)
	}
	for f, cause := range cut {
		f.Cut(cause)
	}
	return turned
}

// isUnused reports whether a user has no state that must be kept.
func (u *user) isUnused(now time.Time) bool {
	counted := u.quota.Load() > 0 && u.own.Load() > 0 || len(u.nodes) > 0 || u.forgiven.bytes > 0
	return u.connections == 0 && !counted && (u.rate == nil || u.rate.TokensAt(now) >= float64(u.rate.Burst()))
}
