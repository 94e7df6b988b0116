// Package ban is a policy that keeps out, for a while, clients that try keys or
// passwords.
package ban

import (
	"fmt"
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
	Failures       int                `toml:"failures" default:"3" help:"how many failures within the window ban a client; ten times as many for one that was served within the last day"`
	Window         option.Duration    `toml:"window" default:"10m" help:"for how long a failure counts"`
	Duration       option.Duration    `toml:"duration" default:"10m" help:"how long a first ban lasts; each further one lasts twice as long"`
	MaxDuration    option.Duration    `toml:"max_duration" default:"168h" help:"how long a ban lasts at the most"`
	Decay          option.Duration    `toml:"decay" default:"24h" help:"after how long without a ban one earlier ban is forgotten"`
	Weights        map[string]float64 `toml:"weights" help:"how much a failure counts: auth and replay 1, short and malformed 0.1, unless they are given"`
	PrefixV4       int                `toml:"prefix_v4" default:"32" help:"how many bits of an IPv4 address make a client"`
	PrefixV6       int                `toml:"prefix_v6" default:"64" help:"how many bits of an IPv6 address make a client"`
	Exempt         []option.Prefix    `toml:"exempt" help:"clients that are never banned"`
	ExemptLoopback bool               `toml:"exempt_loopback" default:"true" help:"never ban programs on this machine"`
	Mode           Mode               `toml:"mode" default:"ban" help:"ban, or observe: log what would be banned and let all in"`
	Action         Action             `toml:"action" help:"what a banned client gets: drain, close, reset or tarpit; left out, what the inbound gives to whoever makes no request"`
	MaxEntries     int                `toml:"max_entries" default:"100000" help:"how many addresses are remembered of each: those that failed, that were served, that are banned"`
	Kernel         bool               `toml:"kernel" help:"have the kernel drop what banned clients begin, by nftables: it costs no accept then, but tells them that they are banned"`
	KernelTable    string             `toml:"kernel_table" help:"the name of the table of nftables; left out, umbra_ and the policy's name"`
	Store          store.Place        `toml:"store" default:"memory" help:"where bans are kept: memory, file:PATH, or redis://HOST:PORT for all nodes of a fleet"`
}

// check returns what is wrong with the options, and the weights in points. Its
// errors name the key to mend.
func (o Options) check() (weights [reasons]int, err error) {
	switch {
	case o.Failures <= 0:
		return weights, core.BadOption("failures", "%d is not positive", o.Failures)
	case o.Failures > math.MaxUint16/point/generous:
		return weights, core.BadOption("failures", "%d is more than %d", o.Failures, math.MaxUint16/point/generous)
	case o.Window.Std() < stretches:
		return weights, core.BadOption("window", "%s is too short", o.Window)
	case o.Duration <= 0:
		return weights, core.BadOption("duration", "%s is not positive", o.Duration)
	case o.MaxDuration < o.Duration:
		return weights, core.BadOption("max_duration", "%s is less than the duration of %s", o.MaxDuration, o.Duration)
	case o.Decay <= 0:
		return weights, core.BadOption("decay", "%s is not positive", o.Decay)
	case o.PrefixV4 < 8 || o.PrefixV4 > 32:
		return weights, core.BadOption("prefix_v4", "%d; want 8 to 32", o.PrefixV4)
	case o.PrefixV6 < 16 || o.PrefixV6 > 128:
		return weights, core.BadOption("prefix_v6", "%d; want 16 to 128", o.PrefixV6)
	case o.KernelTable != "" && !isTableName(o.KernelTable):
		return weights, core.BadOption("kernel_table", "%q; want up to 31 letters, digits, _ and -", o.KernelTable)
	case o.MaxEntries <= 0:
		return weights, core.BadOption("max_entries", "%d is not positive", o.MaxEntries)
	}
	for r, w := range defaultWeights {
		weights[r] = int(w * point)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Weights)) {
		r, w := slices.Index(reasonNames[:], name), o.Weights[name]
		switch {
		case r < 0:
			return weights, core.BadOption("weights", "%q is no failure; known are %s", name, strings.Join(reasonNames[:], ", "))
		case !(w >= 0 && w <= point): // not a number either
			return weights, core.BadOption("weights", "%s = %v; want 0 to %d", name, w, point)
		}
		weights[r] = int(math.Round(w * point))
	}
	return weights, nil
}

// isTableName reports whether nftables and its command take a name.
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

// clientOf returns what counts as one client.
func (o Options) clientOf(ip netip.Addr) netip.Prefix {
	bits := o.PrefixV6
	if ip.Is4() {
		bits = o.PrefixV4
	}
	p, _ := ip.Prefix(bits)
	return p
}

// Mode is what a ban does: "ban", which "" means too, or "observe".
type Mode string

// UnmarshalText reads one of the words.
func (m *Mode) UnmarshalText(text []byte) error {
	if s := string(text); s != "ban" && s != "observe" {
		return fmt.Errorf("%q is no mode; write %q or %q", s, "ban", "observe")
	}
	*m = Mode(text)
	return nil
}

// word is what the log says of a ban.
func (m Mode) word() string {
	if m == "observe" {
		return "would ban"
	}
	return "banned"
}

// Action is what a banned client gets. The zero Action is what the inbound does.
type Action struct {
	name string
	end  core.Ending
}

// actions are those that have a name.
var actions = []Action{{"drain", core.EndDrained}, {"close", core.EndClosed}, {"reset", core.EndReset}, {"tarpit", core.EndTarpit}}

// UnmarshalText reads one of the words.
func (a *Action) UnmarshalText(text []byte) error {
	i := slices.IndexFunc(actions, func(a Action) bool { return a.name == string(text) })
	if i < 0 {
		return fmt.Errorf("%q is no action; write %q, %q, %q or %q", text, "drain", "close", "reset", "tarpit")
	}
	*a = actions[i]
	return nil
}

// String returns the word.
func (a Action) String() string { return a.name }
