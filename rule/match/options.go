// Package match is the rule that compares a request with lists.
package match

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [rule.x] table of kind "match". A rule holds if each list that it
// has holds, and a list holds if one of its entries does.
type Options struct {
	_           core.About               `help:"holds for requests that are in all of its lists, and in none of those that begin with not_"`
	Chain       core.Chain               `toml:"chain" required:"true" help:"where the requests go: what a pipeline's chain may have after its inbound"`
	Targets     []match.Target           `toml:"targets" help:"targets: names with all names below them, ranges of addresses, \"domain:…\", \"keyword:…\", \"regexp:…\", \"file:…\""`
	NotTargets  []match.Target           `toml:"not_targets" help:"targets for which the rule does not hold"`
	Ports       []option.Ports           `toml:"ports" help:"ports of targets: \"443\", \"6881-6889\""`
	NotPorts    []option.Ports           `toml:"not_ports" help:"ports for which the rule does not hold"`
	Sources     []match.Source           `toml:"sources" help:"clients: ranges of addresses, \"file:…\""`
	NotSources  []match.Source           `toml:"not_sources" help:"clients for which the rule does not hold"`
	Users       []string                 `toml:"users" help:"users: names, \"file:…\""`
	NotUsers    []string                 `toml:"not_users" help:"users for which the rule does not hold"`
	Inbounds    []core.Ref[core.Inbound] `toml:"inbounds" help:"the [inbound.x] tables by which the client came"`
	NotInbounds []core.Ref[core.Inbound] `toml:"not_inbounds" help:"inbounds for which the rule does not hold"`
	Networks    []string                 `toml:"networks" oneof:"tcp,udp" help:"what the request is: \"tcp\", \"udp\""`
	NotNetworks []string                 `toml:"not_networks" oneof:"tcp,udp" help:"networks for which the rule does not hold"`
	Share       Share                    `toml:"share" help:"the part of the clients that hold otherwise, as \"5%\": always the same ones, by their user or address"`
}

// check validates the options without reading any file. A list that is empty holds for
// nothing, which nobody means.
func (o Options) check() error {
	if err := option.Check(o); err != nil {
		return err
	}
	for key, empty := range map[string]bool{
		"targets": o.Targets != nil && len(o.Targets) == 0, "ports": o.Ports != nil && len(o.Ports) == 0,
		"sources": o.Sources != nil && len(o.Sources) == 0, "users": o.Users != nil && len(o.Users) == 0,
		"inbounds": o.Inbounds != nil && len(o.Inbounds) == 0, "networks": o.Networks != nil && len(o.Networks) == 0,
	} {
		if empty {
			return core.BadOption(key, "empty, so the rule never holds; leave the key out for a rule that holds for all")
		}
	}
	if o.on() == 0 {
		return core.BadOption("not_networks", "the rule holds for no network; it leaves out what networks has")
	}
	return nil
}

// on returns the networks on which the rule can hold.
func (o Options) on() (n core.Networks) {
	for _, network := range []struct {
		name string
		bit  core.Networks
	}{{"tcp", core.OverTCP}, {"udp", core.OverUDP}} {
		if (o.Networks == nil || slices.Contains(o.Networks, network.name)) && !slices.Contains(o.NotNetworks, network.name) {
			n |= network.bit
		}
	}
	return n
}

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	d := core.Description{
		Branches: []core.Branch{{Label: "holds", Chain: o.Chain.Named("chain")}},
		For:      append(core.NamedList("inbounds", o.Inbounds), core.NamedList("not_inbounds", o.NotInbounds)...),
		ForUsers: append(match.NamedUsers("users", o.Users), match.NamedUsers("not_users", o.NotUsers)...),
	}
	for _, list := range []struct {
		key string
		in  []match.Target
	}{{"targets", o.Targets}, {"not_targets", o.NotTargets}} {
		if i := slices.IndexFunc(list.in, match.Target.IsRange); i >= 0 && d.Ranges == "" {
			d.Ranges = core.OptionKey(list.key, strconv.Itoa(i))
		}
	}
	return d
}

// Share is a part of all clients. The zero Share is all of them.
type Share struct{ percent float64 }

// Example returns a share.
func (Share) Example() string { return "5%" }

// UnmarshalText reads a number with a percent sign, above 0 and up to 100.
func (s *Share) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(string(text), "%")
	percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(percent > 0 && percent <= 100) {
		return fmt.Errorf("%q is not a share above 0%% and up to 100%%, such as %q", text, "5%")
	}
	s.percent = percent
	return nil
}

// String returns the form that UnmarshalText reads.
func (s Share) String() string {
	if s.percent == 0 {
		return ""
	}
	return strconv.FormatFloat(s.percent, 'f', -1, 64) + "%"
}
