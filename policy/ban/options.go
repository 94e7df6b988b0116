// Package ban is a policy that temporarily bans clients that try keys or passwords.
package ban

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// Options are the keys of a [policy.x] table of kind "ban".
type Options struct {
	_              core.About         `help:"bans clients that try keys or passwords, for a while"`
	Failures       int                `toml:"failures" default:"3" min:"1" max:"65" help:"number of failures within the window that ban a client; ten times as many for a client that was served within the last day"`
	Window         option.Duration    `toml:"window" default:"10m" min:"8ns" help:"for how long a failure counts"`
	Duration       option.Duration    `toml:"duration" default:"10m" min:">0s" help:"how long a first ban lasts; each further one lasts twice as long"`
	MaxDuration    option.Duration    `toml:"max_duration" default:"168h" help:"how long a ban lasts at the most"`
	Decay          option.Duration    `toml:"decay" default:"24h" min:">0s" help:"after how long without a ban one earlier ban is forgotten"`
	Weights        map[string]float64 `toml:"weights" min:"0" max:"100" help:"how much a failure counts: auth and replay 1, short and malformed 0.1, unless they are given"`
	PrefixV4       int                `toml:"prefix_v4" default:"32" min:"8" max:"32" help:"how many bits of an IPv4 address make a client"`
	PrefixV6       int                `toml:"prefix_v6" default:"64" min:"16" max:"128" help:"how many bits of an IPv6 address make a client"`
	Exempt         []option.Prefix    `toml:"exempt" help:"clients that are never banned"`
	ExemptLoopback bool               `toml:"exempt_loopback" default:"true" help:"never ban programs on this machine"`
	Mode           Mode               `toml:"mode" default:"ban" help:"ban, or observe: log what would be banned and admit all clients"`
	Action         Action             `toml:"action" help:"how a banned client's connection ends; left out, as the inbound ends one without a valid request"`
	MaxEntries     int                `toml:"max_entries" default:"100000" min:"1" help:"how many addresses each table holds: of failures, of served clients and of bans"`
	Kernel         bool               `toml:"kernel" help:"drop new connections of banned clients in the kernel, by nftables: a ban then costs no accept, but clients can detect it"`
	KernelTable    string             `toml:"kernel_table" help:"the name of the nftables table; left out, umbra_ and the policy's name"`
	Store          store.Place        `toml:"store" default:"memory" help:"where bans are kept: memory, file:PATH, or redis://HOST:PORT for all nodes of a fleet"`
}

// The bounds in the tags of Options follow from how failures are counted. A window of
// less than 8 ns can't be divided into slots. These constants don't compile if that
// changes, or if 65 failures don't fit into the counter of a slot.
const (
	_ = uint(8 - windowSlots)
	_ = uint16(65 * servedFactor * point)
)

// check validates the options and returns the weights in points. Its errors name the
// option to correct.
func (o Options) check() (weights [reasons]int, err error) {
	if err := option.Check(o); err != nil {
		return weights, err
	}
	switch {
	case o.MaxDuration < o.Duration:
		return weights, core.BadOption("max_duration", "%s is less than the duration of %s", o.MaxDuration, o.Duration)
	case o.KernelTable != "" && !isTableName(o.KernelTable):
		return weights, core.BadOption("kernel_table", "%q; want up to 31 letters, digits, _ and -", o.KernelTable)
	}
	for r, w := range defaultWeights {
		weights[r] = int(w * point)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Weights)) {
		r := slices.Index(reasonNames[:], name)
		if r < 0 {
			return weights, core.BadOption("weights", "unknown failure %q: want %s", name, strings.Join(reasonNames[:], ", "))
		}
		weights[r] = int(math.Round(o.Weights[name] * point))
	}
	return weights, nil
}

// isTableName reports whether nftables and the command nft accept a table name.
func isTableName(s string) bool {
	const most = 31
	return len(s) <= most && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// exempts reports whether a client is never banned.
func (o Options) exempts(ip netip.Addr) bool {
	if !ip.IsValid() || o.ExemptLoopback && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(o.Exempt, func(p option.Prefix) bool { return p.Contains(ip) })
}

// clientOf returns the prefix whose addresses count as one client.
func (o Options) clientOf(ip netip.Addr) netip.Prefix {
	bits := o.PrefixV6
	if ip.Is4() {
		bits = o.PrefixV4
	}
	p, _ := ip.Prefix(bits)
	return p
}

// Mode is the effect of a ban: "ban" (also ""), or "observe".
type Mode string

// Values returns the two modes.
func (Mode) Values() []string { return []string{"ban", "observe"} }

// UnmarshalText reads one of the modes.
func (m *Mode) UnmarshalText(text []byte) error { return option.ReadWord(m, text, m.Values()) }

// word returns the log message for a new ban.
func (m Mode) word() string {
	if m == "observe" {
		return "would ban"
	}
	return "banned"
}

// Action is how a banned client's connection ends. The zero Action is the inbound's
// own way to end a connection without a valid request.
type Action struct {
	name string
	end  core.Ending
}

// actions are the named actions.
var actions = []Action{{"drain", core.EndDrained}, {"close", core.EndClosed}, {"reset", core.EndReset}, {"tarpit", core.EndTarpit}}

// Values returns their names.
func (Action) Values() []string {
	var names []string
	for _, a := range actions {
		names = append(names, a.name)
	}
	return names
}

// UnmarshalText reads one of the names.
func (a *Action) UnmarshalText(text []byte) error {
	i := slices.IndexFunc(actions, func(a Action) bool { return a.name == string(text) })
	if i < 0 {
		return option.WrongWord(string(text), a.Values())
	}
	*a = actions[i]
	return nil
}

// String returns the name.
func (a Action) String() string { return a.name }
