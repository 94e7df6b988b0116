package acl

import (
	"bytes"
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [policy.x] table of kind "acl".
type Options struct {
	_            core.About              `help:"allows or denies requests by source, user, target and port"`
	Default      string                  `toml:"default" default:"allow" oneof:"allow,deny" help:"what happens to a request that matches no list; \"deny\" needs an allow list"`
	AllowTargets []Target                `toml:"allow_targets" help:"targets that are allowed, which take precedence over deny_targets: names, ranges of addresses, \"domain:…\", \"keyword:…\", \"regexp:…\", \"file:…\""`
	DenyTargets  []Target                `toml:"deny_targets" help:"targets that are denied"`
	AllowPorts   []option.Ports          `toml:"allow_ports" help:"ports of targets that are allowed, which take precedence over deny_ports: \"443\", \"6881-6889\""`
	DenyPorts    []option.Ports          `toml:"deny_ports" help:"ports of targets that are denied"`
	AllowSources []Source                `toml:"allow_sources" help:"clients that are allowed, which take precedence over deny_sources: ranges of addresses, \"file:…\""`
	DenySources  []Source                `toml:"deny_sources" help:"clients that are denied"`
	AllowUsers   []string                `toml:"allow_users" help:"users that are allowed, which take precedence over deny_users: names, \"file:…\""`
	DenyUsers    []string                `toml:"deny_users" help:"users that are denied"`
	Resolver     core.Ref[core.Resolver] `toml:"resolver" help:"finds the addresses of names, so that address ranges apply to names too"`
}

// check validates the options without reading any file.
func (o Options) check() error {
	if err := option.Check(o); err != nil {
		return err
	}
	if o.Default == "deny" && o.AllowTargets == nil && o.AllowPorts == nil && o.AllowSources == nil && o.AllowUsers == nil {
		return core.BadOption("default", "%q without an allow list denies nothing: want allow_targets, allow_ports, allow_sources or allow_users", o.Default)
	}
	return nil
}

// Target is an entry of a list of targets.
type Target struct{ entry }

// Example returns an entry.
func (Target) Example() string { return "example.org" }

// UnmarshalText reads an entry in the form of the configuration or a list file.
func (t *Target) UnmarshalText(text []byte) (err error) {
	t.entry, err = parse(bytes.TrimSpace(bytes.Clone(text)))
	return err
}

// String returns the entry in the form that UnmarshalText reads.
func (t Target) String() string {
	switch word := words[t.kind]; {
	case t.kind == network && t.prefix.IsSingleIP():
		return t.prefix.Addr().String()
	case t.kind == network:
		return t.prefix.String()
	case t.kind == below:
		return string(t.text)
	default:
		return word + ":" + string(t.text)
	}
}

// Source is an entry of a list of clients.
type Source struct {
	prefix netip.Prefix
	path   string // of a list file, or "" for a range
}

// Example returns a range of addresses.
func (Source) Example() string { return "10.0.0.0/8" }

// UnmarshalText reads a range of addresses, one address, or "file:PATH".
func (s *Source) UnmarshalText(text []byte) error {
	if path, ok := cutFile(string(text)); ok {
		s.path = path
		return nil
	}
	var p option.Prefix
	err := p.UnmarshalText(text)
	s.prefix = p.Prefix
	return err
}

// String returns the form that UnmarshalText reads.
func (s Source) String() string {
	switch {
	case s.path != "":
		return "file:" + s.path
	case s.prefix.IsSingleIP():
		return s.prefix.Addr().String()
	}
	return s.prefix.String()
}

// cutFile returns the path of an entry of the form "file:PATH".
func cutFile(s string) (path string, ok bool) {
	const word = "file:"
	if len(s) <= len(word) || s[:len(word)] != word {
		return "", false
	}
	return s[len(word):], true
}

// errNested reports a "file:" entry in a list file.
var errNested = errors.New("a file can't name another file")
