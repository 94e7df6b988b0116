package dns

import (
	"crypto/x509"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// Options are the keys of a [resolver.x] table of kind "dns". The bound of
// serve_stale is that of RFC 8767 §5, 1 to 3 days; that of timeout is totalTimeout.
type Options struct {
	_             core.About                     `help:"queries DNS servers by UDP, TCP, TLS or HTTPS, and caches their answers"`
	Servers       []option.NameServer            `toml:"servers" required:"true" help:"servers to query: \"8.8.8.8\", \"tcp://8.8.8.8\", \"tls://1.1.1.1\" or \"https://dns.example/dns-query\""`
	Strategy      Strategy                       `toml:"strategy" default:"failover" help:"failover: the next server when one fails; race: all servers at once; spread: the servers in rotation"`
	Domains       map[string][]option.NameServer `toml:"domains" help:"servers for a domain and all its subdomains, instead of servers"`
	Bootstrap     map[string][]option.IP         `toml:"bootstrap" help:"addresses of servers that are given by name; else the operating system resolves the names, or the outbound in via"`
	Via           core.Ref[core.Outbound]        `toml:"via" help:"the [outbound.x] that queries go through"`
	CA            string                         `toml:"ca" help:"file of the CAs to trust for TLS and HTTPS instead of the system's"`
	Prefer        option.Family                  `toml:"prefer" default:"auto" help:"addresses to try first: ipv4, ipv6, or auto for IPv6 where this machine has it; ipv4-only and ipv6-only leave the others out"`
	Timeout       option.Duration                `toml:"timeout" default:"2s" min:"100ms" max:"5s" help:"how long one server may take; a query may take 5s in all"`
	MaxQueries    int                            `toml:"max_queries" default:"256" min:"1" max:"65536" help:"how many queries may run at once; further ones wait"`
	ClientQueries int                            `toml:"client_queries" default:"0" min:"0" max:"65536" help:"how many of them may be for one client address, or for one user; 0 for half"`
	CacheEntries  int                            `toml:"cache_entries" default:"16384" min:"1" max:"16777216" help:"how many answers are cached; a name has one for IPv4 and one for IPv6"`
	CacheBytes    int64                          `toml:"cache_bytes" default:"8388608" min:"65536" max:"1099511627776" help:"how much memory they may take, in bytes"`
	MinTTL        option.Duration                `toml:"min_ttl" default:"0s" min:"0s" max:"168h" help:"the shortest time for which an answer is cached, whatever its TTL"`
	MaxTTL        option.Duration                `toml:"max_ttl" default:"24h" min:"1s" max:"168h" help:"the longest time"`
	NegativeTTL   option.Duration                `toml:"negative_ttl" default:"15m" min:"0s" max:"168h" help:"the longest time for which a negative answer is cached"`
	ServeStale    option.Duration                `toml:"serve_stale" default:"1h" min:"0s" max:"72h" help:"how long an expired answer may be used while no server answers; 0s for never"`
	Prefetch      bool                           `toml:"prefetch" default:"true" help:"refresh the answers of names in use shortly before they expire"`
}

// maxServers is the maximum number of servers in a list.
const maxServers = 16

// check validates the options without reading any file.
func (o *Options) check() error {
	if err := option.Check(*o); err != nil {
		return err
	}
	if err := checkServers("servers", "", o.Servers); err != nil {
		return err
	}
	for _, domain := range slices.Sorted(maps.Keys(o.Domains)) {
		if !isHost(domain) {
			return core.BadOption("domains", "invalid domain %q: want one such as %q", domain, "corp.example")
		}
		if err := checkServers("domains", domain+": ", o.Domains[domain]); err != nil {
			return err
		}
	}
	if err := o.checkBootstrap(); err != nil {
		return err
	}
	if o.MinTTL > o.MaxTTL {
		return core.BadOption("min_ttl", "%s is longer than max_ttl, which is %s", o.MinTTL, o.MaxTTL)
	}
	return nil
}

// checkServers checks one list.
func checkServers(key, of string, servers []option.NameServer) error {
	switch {
	case len(servers) == 0:
		return core.BadOption(key, "%sempty list: want at least one server", of)
	case len(servers) > maxServers:
		return core.BadOption(key, "%s%d servers: want at most %d", of, len(servers), maxServers)
	}
	for i, s := range servers {
		if slices.Contains(servers[:i], s) {
			return core.BadOption(key, "%s%s is listed twice", of, s)
		}
	}
	return nil
}

// checkBootstrap checks that each name in bootstrap is the name of a server.
func (o *Options) checkBootstrap() error {
	names := map[string]bool{}
	for s := range o.all() {
		names[strings.ToLower(s.Addr().Name())] = true
	}
	for _, name := range slices.Sorted(maps.Keys(o.Bootstrap)) {
		switch {
		case name == "" || !names[strings.ToLower(name)]:
			return core.BadOption("bootstrap", "%q is not the name of a server in this table", name)
		case len(o.Bootstrap[name]) == 0:
			return core.BadOption("bootstrap", "%s: empty list: want at least one address", name)
		}
	}
	return nil
}

// all yields the servers of all lists.
func (o *Options) all() func(yield func(option.NameServer) bool) {
	return func(yield func(option.NameServer) bool) {
		lists := [][]option.NameServer{o.Servers}
		for _, domain := range slices.Sorted(maps.Keys(o.Domains)) {
			lists = append(lists, o.Domains[domain])
		}
		for _, list := range lists {
			for _, s := range list {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// fixed returns the addresses in bootstrap for a server's name.
func (o *Options) fixed(server option.NameServer) []netip.Addr {
	for name, ips := range o.Bootstrap {
		if !strings.EqualFold(name, server.Addr().Name()) {
			continue
		}
		var fixed []netip.Addr
		for _, ip := range ips {
			fixed = append(fixed, ip.Addr)
		}
		return fixed
	}
	return nil
}

// trust returns the CAs to trust, or nil for the system's CAs.
func (o *Options) trust() (*x509.CertPool, error) {
	if o.CA == "" {
		return nil, nil
	}
	pool, err := textfile.Authorities(o.CA)
	if err != nil {
		return nil, core.BadOption("ca", "%w", err)
	}
	return pool, nil
}

// answersDependOn returns all options that determine the answers, as text. A store is
// kept over a reload only if this text is unchanged.
func (o *Options) answersDependOn() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v via %q ca %q", o.Servers, o.Via, o.CA)
	for _, domain := range slices.Sorted(maps.Keys(o.Domains)) {
		fmt.Fprintf(&b, ", %s: %v", domain, o.Domains[domain])
	}
	for _, name := range slices.Sorted(maps.Keys(o.Bootstrap)) {
		fmt.Fprintf(&b, ", %s is %v", name, o.Bootstrap[name])
	}
	return b.String()
}

// cacheBytes returns the bound on the cache's memory, limited to the range of int on
// this machine.
func (o *Options) cacheBytes() int { return int(min(o.CacheBytes, math.MaxInt)) }
