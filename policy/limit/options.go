// Package limit is a policy that limits clients and users: concurrent connections,
// new connections a second, bandwidth, and bytes a month.
package limit

import (
	"maps"
	"math"
	"net/netip"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// Options are the keys of a [policy.x] table of kind "limit".
type Options struct {
	_                     core.About       `help:"limits clients and users: connections, bandwidth, bytes a month"`
	ConnectionsPerClient  int              `toml:"connections_per_client" min:"0" help:"how many connections and UDP sessions an address may have at once; left out, no limit"`
	ConnectionsPerUser    int              `toml:"connections_per_user" min:"0" help:"the same for a user"`
	UDPIdle               option.Timeout   `toml:"udp_idle" default:"10s" min:"1s" help:"at a limit on connections, a new one has the place of the UDP session that has been silent for the longest, if for this long or more; off for none"`
	NewPerSecondPerClient float64          `toml:"new_per_second_per_client" min:"0" max:"1000000" help:"how many new connections a second an address may open, on average"`
	NewPerSecondPerUser   float64          `toml:"new_per_second_per_user" min:"0" max:"1000000" help:"the same for a user"`
	NewBurst              int              `toml:"new_burst" min:"0" max:"10000000" help:"how many new connections may come in one burst; left out, ten seconds' worth of new_per_second"`
	BandwidthPerUser      option.Bandwidth `toml:"bandwidth_per_user" help:"bytes a second of a user, in each direction: 10MiB/s, 100Mbit/s, or 1MiB/s up, 10MiB/s down"`
	Bandwidth             option.Bandwidth `toml:"bandwidth" help:"the same for all users together"`
	QuotaPerUser          option.Size      `toml:"quota_per_user" help:"how many bytes a user may transfer a month, both directions together"`
	QuotaResetDay         int              `toml:"quota_reset_day" default:"1" min:"1" max:"31" help:"day of the month, in UTC, on which quotas are reset"`
	Users                 map[string]User  `toml:"users" help:"limits of single users, which replace those for all"`
	Nameless              bool             `toml:"nameless" help:"count all requests without a user's name as those of one user; else no limit on users applies to them"`
	Exempt                []option.Prefix  `toml:"exempt" help:"addresses to which no limit on addresses applies"`
	ExemptLoopback        bool             `toml:"exempt_loopback" default:"true" help:"no limit applies to the addresses of this machine"`
	MaxClients            int              `toml:"max_clients" default:"100000" min:"1" help:"how many addresses are remembered that have no connection"`
	Store                 store.Place      `toml:"store" default:"memory" help:"where the bytes of quotas are counted: memory, file:PATH, or redis://HOST:PORT for all nodes of a fleet"`
}

// User holds the limits of a single user. An option that is left out has the value
// for all users.
type User struct {
	Connections  *int              `toml:"connections" min:"0" help:"how many connections and UDP sessions at once; 0 for no limit"`
	NewPerSecond *float64          `toml:"new_per_second" min:"0" max:"1000000" help:"how many new connections a second; 0 for no limit"`
	Bandwidth    *option.Bandwidth `toml:"bandwidth" help:"bytes a second, in each direction; or unlimited"`
	Quota        *option.Size      `toml:"quota" help:"bytes a month; or unlimited"`
}

// maxUserName is the maximum length of a user name in bytes: the name is part of a
// key in the store.
const maxUserName = 255

// check validates the options. Its errors name the option to correct.
func (o Options) check() error {
	if len(o.Users) > maxUsers {
		return core.BadOption("users", "%d users: want at most %d", len(o.Users), maxUsers)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Users)) {
		if name == "" || len(name) > maxUserName {
			return core.BadOption("users", "invalid user name %.20q: want 1 to %d bytes", name, maxUserName)
		}
	}
	return option.Check(o)
}

// burst returns the number of new connections in one burst for a rate of perSecond.
func (o Options) burst(perSecond float64) int {
	if o.NewBurst > 0 {
		return o.NewBurst
	}
	return max(1, int(math.Ceil(10*perSecond)))
}

// exempts reports whether an address has no limits.
func (o Options) exempts(ip netip.Addr) bool {
	if !ip.IsValid() || o.ExemptLoopback && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(o.Exempt, func(p option.Prefix) bool { return p.Contains(ip) })
}

// bounds are the limits of one user.
type bounds struct {
	connections int
	perSecond   float64
	bandwidth   option.Bandwidth
	quota       option.Size
}

// of returns the limits of a user.
func (o Options) of(name string) bounds {
	b := bounds{o.ConnectionsPerUser, o.NewPerSecondPerUser, o.BandwidthPerUser, o.QuotaPerUser}
	u := o.Users[name]
	if u.Connections != nil {
		b.connections = *u.Connections
	}
	if u.NewPerSecond != nil {
		b.perSecond = *u.NewPerSecond
	}
	if u.Bandwidth != nil {
		b.bandwidth = *u.Bandwidth
	}
	if u.Quota != nil {
		b.quota = *u.Quota
	}
	return b
}

// boundsUsers reports whether any limit is set for all users.
func (o Options) boundsUsers() bool { return o.of("") != bounds{} }
