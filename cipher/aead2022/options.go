package aead2022

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options16 are the options of a [cipher.x] table of a method with keys of 16 bytes.
type Options16 struct {
	_ core.About `help:"a SIP022 method: needs a key, refuses replays by timestamp, supports users: with users the password is the identity key, and that of a client is IDENTITY:USER" key:"16"`
	option.Password
	users.Options
	replay.File
	SessionOptions
}

// Options32 are the options of a method with keys of 32 bytes.
type Options32 struct {
	_ core.About `help:"a SIP022 method: needs a key, refuses replays by timestamp, supports users: with users the password is the identity key, and that of a client is IDENTITY:USER" key:"32"`
	option.Password
	users.Options
	replay.File
	SessionOptions
}

// OptionsPlain are the options of a method without identity headers.
type OptionsPlain struct {
	_ core.About `help:"a SIP022 method: needs a key, refuses replays by timestamp" key:"32"`
	option.Password
	replay.File
	SessionOptions
}

// SessionOptions are the options of the datagrams of a server.
type SessionOptions struct {
	RememberedSessions int `toml:"remembered_sessions" default:"65536" min:"256" max:"2097152" help:"how many UDP sessions a server remembers to refuse their replays; 600 bytes each"`
}

// Register adds the method to the ciphers of reg.
func Register(reg *core.Registry, s Spec) {
	switch {
	case s.Block == nil:
		core.Add(&reg.Cipher, s.Method, func(env core.Env, o OptionsPlain) (core.Cipher, error) {
			return s.build(env, o.Password, users.Options{}, o.File, o.SessionOptions)
		}, s.Aliases...)
	case s.KeySize == 16:
		core.Add(&reg.Cipher, s.Method, func(env core.Env, o Options16) (core.Cipher, error) {
			return s.build(env, o.Password, o.Options, o.File, o.SessionOptions)
		}, s.Aliases...)
	default:
		core.Add(&reg.Cipher, s.Method, func(env core.Env, o Options32) (core.Cipher, error) {
			return s.build(env, o.Password, o.Options, o.File, o.SessionOptions)
		}, s.Aliases...)
	}
}

// build creates a Cipher from the options.
func (s Spec) build(env core.Env, p option.Password, u users.Options, f replay.File, m SessionOptions) (core.Cipher, error) {
	list, err := users.Open(env, u)
	if err != nil {
		return nil, err
	}
	k, err := s.readKeys(env.Log, p, u, list)
	if err != nil {
		return nil, err
	}
	c, err := New(s, k, nil)
	if err != nil {
		return nil, err
	}
	c.list, c.log, c.name = list, env.Log, env.Name
	core.Keep(env, func(old *offsets) *offsets {
		if old != nil {
			c.offsets = old
		}
		return c.offsets
	})
	core.Keep(env, func(old *replay.Timed) *replay.Timed {
		if old == nil {
			old = NewSalts()
		}
		c.salts = old
		return old
	})
	core.Keep(env, func(old *sessions) *sessions {
		if old != nil && old.isFor(s.Method, c.first) {
			c.sessions = old
		}
		c.sessions.limit(m.RememberedSessions)
		return c.sessions
	})
	c.journal, err = replay.OpenJournal(env, f, c.restore)
	return c, err
}

// Run follows the user file and writes the journal of salts and sessions.
func (c *Cipher) Run(ctx context.Context) {
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { c.journal.Run(ctx, c.journalRecords(), c.noteSessions) })
	if c.list != nil {
		c.list.Run(ctx, c.setUsers)
	}
}

// Retire lets go of the users: no new stream or datagram will be opened.
func (c *Cipher) Retire() {
	if c.list != nil {
		c.list.Retire()
	}
	if c.identity != nil {
		c.identity.users.Store(&userTable{})
	}
}

// setUsers replaces the users of a server.
func (c *Cipher) setUsers(list []users.User) error {
	all, err := c.spec.table(c.list, list)
	if err != nil {
		return err
	}
	if err := (Keys{PSKs: [][]byte{c.first}, table: all}).check(c.spec); err != nil {
		return err
	}
	c.identity.users.Store(all)
	return nil
}

// readKeys reads the keys of a table. Errors name the option to correct; u are the options
// with the users.
func (s Spec) readKeys(log *slog.Logger, p option.Password, u users.Options, list *users.List) (k Keys, err error) {
	secret, err := p.Read(log)
	if err != nil {
		return Keys{}, err
	}
	if k.PSKs, err = ParsePassword(s, secret); err != nil {
		return Keys{}, &core.OptionError{Key: p.Key(), Err: err}
	}
	if u.Given() {
		k.table, err = s.table(list, list.Users())
	}
	if err == nil {
		err = k.check(s)
	}
	if err != nil {
		return Keys{}, &core.OptionError{Key: u.Key(), Err: err}
	}
	return k, nil
}

// table returns the table of all, the users of list.
func (s Spec) table(list *users.List, all []users.User) (*userTable, error) {
	return users.Table(list, s.Method, all, func(all []users.User, before *userTable) (*userTable, error) {
		return newTable(s, all, before)
	})
}

// saltsKept is the minimum time for which a salt is remembered. A request can be replayed
// for 61 seconds: if its timestamp is 30 s ahead of the server's clock, it is valid until
// the clock is 30 s ahead of the timestamp, in whole seconds.
const saltsKept = 65 * time.Second

// NewSalts returns an empty set of received salts for New.
func NewSalts() *replay.Timed { return replay.NewTimed(saltsKept) }
