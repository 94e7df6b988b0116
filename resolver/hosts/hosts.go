// Package hosts is the resolver of names that a hosts file or the configuration
// itself gives.
package hosts

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [resolver.x] table of kind "hosts".
type Options struct {
	_     core.About             `help:"resolves the names of a hosts file and of this table, and no others"`
	File  string                 `toml:"file" help:"a hosts file, such as /etc/hosts; read again when it changes"`
	Names map[string][]option.IP `toml:"names" help:"names and their addresses; they take precedence over the file"`
}

// checkEvery is the interval between checks for changes of the file.
const checkEvery = 5 * time.Second

// Resolver resolves the names of a hosts file and of the configuration.
type Resolver struct {
	log   *slog.Logger
	names table // of the configuration
	path  string
	file  *follow.Value[table] // nil without one
}

var _ core.Teller = (*Resolver)(nil)

// New returns the resolver. The file must be readable at that time. If it can't be read
// later, the names that were read last stay in use.
func New(env core.Env, o Options) (core.Resolver, error) {
	if o.File == "" && len(o.Names) == 0 {
		return nil, core.BadOption("names", "missing: want names, file or both")
	}
	r := &Resolver{log: env.Log, path: o.File, names: table{}}
	for _, name := range slices.Sorted(maps.Keys(o.Names)) {
		host, ok := normal(name)
		switch {
		case !ok:
			return nil, core.BadOption("names", "%q is not a host name", name)
		case len(o.Names[name]) == 0:
			return nil, core.BadOption("names", "%s: empty list: want at least one address", name)
		case r.names[host] != nil:
			return nil, core.BadOption("names", "%q is listed twice, in different letter case", host)
		}
		for _, ip := range o.Names[name] {
			r.names.add(host, ip.Addr)
		}
	}
	if o.File == "" {
		return r, nil
	}
	var err error
	if r.file, err = r.follow(core.Shared[follow.Files](env.Process)); err != nil {
		return nil, core.BadOption("file", "%w", err)
	}
	return r, nil
}

// LookupIP implements core.Resolver.
func (r *Resolver) LookupIP(_ context.Context, name string) ([]netip.Addr, error) {
	ips, _, err := r.find(name)
	return ips, err
}

// Tell implements core.Teller.
func (r *Resolver) Tell(_ context.Context, name string) ([]core.Found, error) {
	ips, from, err := r.find(name)
	found := make([]core.Found, len(ips))
	for i, ip := range ips {
		found[i] = core.Found{IP: ip, From: from}
	}
	return found, err
}

// find returns the addresses of a name, and their source.
func (r *Resolver) find(name string) (ips []netip.Addr, from string, err error) {
	if ips, ok, err := dial.OwnName(name); ok {
		return ips, "the name itself", err
	}
	host := strings.ToLower(strings.TrimSuffix(name, "."))
	if ips := r.names[host]; len(ips) > 0 {
		return slices.Clone(ips), "the configuration", nil
	}
	if r.file != nil {
		if ips := r.file.Get()[host]; len(ips) > 0 {
			return slices.Clone(ips), r.path, nil
		}
	}
	return nil, "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// follow reads the file and follows its changes, once for the process.
func (r *Resolver) follow(files *follow.Files) (*follow.Value[table], error) {
	log, path := r.log, r.path // not r, which an old configuration may have left
	return follow.SharedValue(files, "hosts", follow.Source[table]{
		Paths: []string{path}, Limit: maxFile, Every: checkEvery, Now: time.Now,
		Make: func(read func(string) ([]byte, error)) (table, error) {
			text, err := read(path)
			if err != nil {
				return nil, err
			}
			t, bad, first := parse(text)
			if bad > 0 {
				log.Warn("invalid lines in the hosts file ignored", slog.String("file", path), slog.Int("lines", bad), slog.Int("first", first))
			}
			return t, nil
		},
		Reloaded: func(err error) {
			if err != nil {
				log.Warn("hosts file not read, its old names stay in use", slog.Any("err", err))
			}
		},
	})
}
