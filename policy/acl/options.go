package acl

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [policy.x] table of kind "acl".
type Options struct {
	_            core.About              `help:"allows or denies requests by source, user, target and port"`
	Default      string                  `toml:"default" default:"allow" oneof:"allow,deny" help:"what happens to a request that matches no list; \"deny\" needs an allow list"`
	AllowTargets []match.Target          `toml:"allow_targets" help:"targets that are allowed, which take precedence over deny_targets: names, ranges of addresses, \"domain:…\", \"keyword:…\", \"regexp:…\", \"file:…\""`
	DenyTargets  []match.Target          `toml:"deny_targets" help:"targets that are denied"`
	AllowPorts   []option.Ports          `toml:"allow_ports" help:"ports of targets that are allowed, which take precedence over deny_ports: \"443\", \"6881-6889\""`
	DenyPorts    []option.Ports          `toml:"deny_ports" help:"ports of targets that are denied"`
	AllowSources []match.Source          `toml:"allow_sources" help:"clients that are allowed, which take precedence over deny_sources: ranges of addresses, \"file:…\""`
	DenySources  []match.Source          `toml:"deny_sources" help:"clients that are denied"`
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
