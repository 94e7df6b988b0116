package stream

import (
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [cipher.x] table.
type Options struct {
	_ core.About `help:"INSECURE, for old peers: encrypts, but an attacker on the path can change the data" insecure:"true"`
	option.Password
	Insecure bool `toml:"insecure" help:"must be true to use the method although it does not authenticate"`
}

// PlainOptions are the options of a method without encryption. A password only fixes how
// long a server waits after an invalid request.
type PlainOptions struct {
	_ core.About `help:"INSECURE: no encryption, for tests and for networks that are already secure" insecure:"true" key:"0"`
	option.Password
	Insecure bool `toml:"insecure" help:"must be true to use the method although it does not encrypt"`
}

// weakPassword is the length in bytes below which a password causes a warning: it can be
// guessed offline from one recorded packet.
const weakPassword = 12

// rememberedPackets is the minimum number of datagrams that a server remembers, received
// and sent. At the limit they take 8 MiB.
const rememberedPackets = 1 << 18

// instead is the recommended replacement.
const instead = "chacha20-ietf-poly1305 or a method of the 2022 edition"

// Register adds the method to the ciphers of reg.
func Register(reg *core.Registry, s Spec) {
	if s.New == nil {
		core.Add(&reg.Cipher, s.Method, s.buildPlain, s.Aliases...)
		return
	}
	core.Add(&reg.Cipher, s.Method, s.build, s.Aliases...)
}

// build creates a Cipher from the options.
func (s Spec) build(env core.Env, o Options) (core.Cipher, error) {
	if !o.Insecure {
		return nil, core.BadOption("insecure", "%s does not authenticate: an attacker on the path can change the data "+
			"and detect the server; use %s, or add insecure = true", s.Method, instead)
	}
	password, err := o.Read(env.Log)
	if err != nil {
		return nil, err
	}
	if len(password) < weakPassword {
		env.Log.Warn("short password", "bytes", len(password), "advice", "generate one with: umbra keygen "+s.Method)
	}
	return s.buildWith(env, password)
}

// buildPlain is build for a method without encryption.
func (s Spec) buildPlain(env core.Env, o PlainOptions) (core.Cipher, error) {
	if !o.Insecure {
		return nil, core.BadOption("insecure", "%s does not encrypt: an attacker on the path can read and change the data; "+
			"use %s, or add insecure = true", s.Method, instead)
	}
	if o.Password == (option.Password{}) {
		return s.buildWith(env, "")
	}
	password, err := o.Read(env.Log)
	if err != nil {
		return nil, err
	}
	return s.buildWith(env, password)
}

// buildWith creates a Cipher from a password and the state kept over a reload.
func (s Spec) buildWith(env core.Env, password option.Text) (core.Cipher, error) {
	env.Log.Warn("insecure method", "method", s.Method, "advice", "use "+instead)
	c, err := New(s, s.key(password.Reveal()), nil)
	if err != nil {
		return nil, err
	}
	replay.KeepSalts(env, func(kept *replay.Salts) { c.salts = kept })
	core.Keep(env, func(old *packets) *packets {
		if old != nil && old.isFor(s.Method, c.key) {
			c.packets = old
		}
		return c.packets
	})
	return c, nil
}
