package stream

import (
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [cipher.x] table.
type Options struct {
	_ core.About `help:"INSECURE, for old peers: encrypted, but whoever is on the way can change what is sent" insecure:"true"`
	option.Password
	Insecure bool `toml:"insecure" help:"must be true: takes the method although it protects too little"`
}

// PlainOptions are those of a method that encrypts nothing. A password does no
// more there than fix how long a server waits.
type PlainOptions struct {
	_ core.About `help:"INSECURE: not encrypted at all, for tests and wires that are safe by themselves" insecure:"true" key:"0"`
	option.Password
	Insecure bool `toml:"insecure" help:"must be true: takes the method although it protects nothing"`
}

// weakPassword is the length in bytes below which a password is warned of: it
// can be guessed offline from one recorded packet.
const weakPassword = 12

// rememberedSalts is how many IVs a server remembers at the least. Each connection
// has two. At the bound they take about 20 MiB.
const rememberedSalts = 1 << 17

// rememberedPackets is how many datagrams a server remembers at the least, those
// that it sent itself among them. At the bound they take 8 MiB.
const rememberedPackets = 1 << 18

// instead is what to use.
const instead = "chacha20-ietf-poly1305 or a method of the 2022 edition"

// Register adds the method to the ciphers of reg.
func Register(reg *core.Registry, s Spec) {
	if s.New == nil {
		core.Add(&reg.Cipher, s.Method, s.buildPlain, s.Aliases...)
		return
	}
	core.Add(&reg.Cipher, s.Method, s.build, s.Aliases...)
}

// build makes a Cipher of the options.
func (s Spec) build(env core.Env, o Options) (core.Cipher, error) {
	if !o.Insecure {
		return nil, core.BadOption("insecure", "%s does not authenticate: whoever is on the way can change what is sent, "+
			"and find out that this is a server; use %s, or add insecure = true", s.Method, instead)
	}
	password, err := o.Read()
	if err != nil {
		return nil, err
	}
	if len(password) < weakPassword {
		env.Log.Warn("short password", "bytes", len(password), "advice", "make one with: umbra keygen "+s.Method)
	}
	return s.buildWith(env, password)
}

// buildPlain is build for a method that encrypts nothing.
func (s Spec) buildPlain(env core.Env, o PlainOptions) (core.Cipher, error) {
	if !o.Insecure {
		return nil, core.BadOption("insecure", "%s encrypts nothing: whoever is on the way can read and change what is sent; "+
			"use %s, or add insecure = true", s.Method, instead)
	}
	if o.Password == (option.Password{}) {
		return s.buildWith(env, "")
	}
	password, err := o.Read()
	if err != nil {
		return nil, err
	}
	return s.buildWith(env, password)
}

// buildWith makes a Cipher of a password, with what it keeps over a reload.
func (s Spec) buildWith(env core.Env, password option.Text) (core.Cipher, error) {
	env.Log.Warn("insecure method", "method", s.Method, "advice", "use "+instead)
	c, err := New(s, s.key(password.Reveal()), nil)
	if err != nil {
		return nil, err
	}
	core.Keep(env, func(old *replay.Salts) *replay.Salts {
		if old == nil {
			old = replay.NewSalts(rememberedSalts)
		}
		c.salts = old
		return old
	})
	core.Keep(env, func(old *packets) *packets {
		if old != nil && old.isFor(s.Method, c.key) {
			c.packets = old
		}
		return c.packets
	})
	return c, nil
}
