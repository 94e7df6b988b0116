package aead2022

import (
	"maps"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options16 are the keys of a [cipher.x] table of a method with keys of 16 bytes.
type Options16 struct {
	_ core.About `help:"a SIP022 method: takes a key, refuses replays by their time, tells users apart" key:"16"`
	option.Password
	Users map[string]option.Text `toml:"users" help:"names and keys of those who may use a server, whose password is then the identity key; a client has both as IDENTITY:USER"`
}

// Options32 are those of a method with keys of 32 bytes.
type Options32 struct {
	_ core.About `help:"a SIP022 method: takes a key, refuses replays by their time, tells users apart" key:"32"`
	option.Password
	Users map[string]option.Text `toml:"users" help:"names and keys of those who may use a server, whose password is then the identity key; a client has both as IDENTITY:USER"`
}

// OptionsPlain are those of a method without identity headers.
type OptionsPlain struct {
	_ core.About `help:"a SIP022 method: takes a key, refuses replays by their time" key:"32"`
	option.Password
}

// Register adds the method to the ciphers of reg.
func Register(reg *core.Registry, s Spec) {
	switch {
	case s.Block == nil:
		core.Add(&reg.Cipher, s.Method, func(env core.Env, o OptionsPlain) (core.Cipher, error) {
			return s.build(env, o.Password, nil)
		}, s.Aliases...)
	case s.KeySize == 16:
		core.Add(&reg.Cipher, s.Method, func(env core.Env, o Options16) (core.Cipher, error) {
			return s.build(env, o.Password, o.Users)
		}, s.Aliases...)
	default:
		core.Add(&reg.Cipher, s.Method, func(env core.Env, o Options32) (core.Cipher, error) {
			return s.build(env, o.Password, o.Users)
		}, s.Aliases...)
	}
}

// build makes a Cipher of the options.
func (s Spec) build(env core.Env, p option.Password, users map[string]option.Text) (core.Cipher, error) {
	k, err := s.readKeys(p, users)
	if err != nil {
		return nil, err
	}
	salts, err := core.Keep(env, func(old *replay.Timed) (*replay.Timed, error) {
		if old != nil {
			return old, nil
		}
		return NewSalts(), nil
	})
	if err != nil {
		return nil, err
	}
	c, err := New(s, k, salts)
	if err != nil {
		return nil, err
	}
	c.sessions, err = core.Keep(env, func(old *sessions) (*sessions, error) {
		if old != nil && old.isFor(s.Method, c.first) {
			return old, nil
		}
		return c.sessions, nil
	})
	return c, err
}

// readKeys reads the keys of a table. Its errors name the key to mend.
func (s Spec) readKeys(p option.Password, users map[string]option.Text) (k Keys, err error) {
	secret, err := p.Read()
	if err != nil {
		return Keys{}, err
	}
	if k.PSKs, err = ParsePassword(s, secret); err != nil {
		return Keys{}, &core.OptionError{Key: passwordKey(p), Err: err}
	}
	if users != nil && len(users) == 0 {
		return Keys{}, core.BadOption("users", "nobody; leave it out for a server without users")
	}
	for _, name := range slices.Sorted(maps.Keys(users)) {
		psk, err := parseKey(s, users[name].Reveal())
		if err != nil {
			return Keys{}, core.BadOption("users", "user %q: %w", name, err)
		}
		k.Users = append(k.Users, User{Name: name, PSK: psk})
	}
	if err := k.check(s); err != nil {
		return Keys{}, &core.OptionError{Key: "users", Err: err}
	}
	if _, err := newUsers(s, k.Users); err != nil {
		return Keys{}, &core.OptionError{Key: "users", Err: err}
	}
	return k, nil
}

// passwordKey returns which of the keys gave the password.
func passwordKey(p option.Password) string {
	switch {
	case p.PasswordFile != "":
		return "password_file"
	case p.PasswordEnv != "":
		return "password_env"
	}
	return "password"
}

// saltsKept is for how long a salt is remembered at the least. A request can be
// repeated for 61 seconds: made 30 s ahead of our clock, it is good until our clock
// is 30 s ahead of it, in whole seconds.
const saltsKept = 65 * time.Second

// NewSalts returns an empty set of what a server has seen.
func NewSalts() *replay.Timed { return replay.NewTimed(saltsKept) }
