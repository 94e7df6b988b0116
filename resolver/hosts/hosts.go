// Package hosts is the resolver of names that a hosts file or the configuration
// itself gives.
package hosts

import (
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [resolver.x] table of kind "hosts".
type Options struct {
	_     core.About             `help:"knows the names of a hosts file and of this table, and no others"`
	File  string                 `toml:"file" help:"a hosts file, such as /etc/hosts; it is read again when it changes"`
	Names map[string][]option.IP `toml:"names" help:"names and their addresses, which come before those of the file"`
}

// lookAgain is how often it is seen whether the file has changed.
const lookAgain = 5 * time.Second

// Resolver knows fixed names.
type Resolver struct {
	log   *slog.Logger
	names table // of the configuration
	path  string

	mu     sync.Mutex
	file   table     // guarded by mu, as all that follows
	read   fileState // when file was read
	looked time.Time // when the file was looked at
}

var _ core.Teller = (*Resolver)(nil)

// New returns the resolver. The file must be readable; what it later becomes does
// not matter: the names that were read last stay then.
func New(env core.Env, o Options) (core.Resolver, error) {
	if o.File == "" && len(o.Names) == 0 {
		return nil, core.BadOption("names", "missing; give names, a file or both")
	}
	r := &Resolver{log: env.Log, path: o.File, names: table{}}
	for _, name := range slices.Sorted(maps.Keys(o.Names)) {
		host, ok := normal(name)
		switch {
		case !ok:
			return nil, core.BadOption("names", "%q is no host name", name)
		case len(o.Names[name]) == 0:
			return nil, core.BadOption("names", "%s: an empty list; give an address at least", name)
		case r.names[host] != nil:
			return nil, core.BadOption("names", "%q stands twice, in letters of another case", host)
		}
		for _, ip := range o.Names[name] {
			r.names.add(host, ip.Addr)
		}
	}
	if o.File == "" {
		return r, nil
	}
	var err error
	if r.file, r.read, err = readFile(o.File); err != nil {
		return nil, core.BadOption("file", "read %s: %w", o.File, err)
	}
	r.looked = time.Now()
	r.warn()
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

// find returns the addresses of a name, and what gives them.
func (r *Resolver) find(name string) (ips []netip.Addr, from string, err error) {
	if ips, ok, err := dial.OwnName(name); ok {
		return ips, "the name itself", err
	}
	host := strings.ToLower(strings.TrimSuffix(name, "."))
	if ips := r.names[host]; len(ips) > 0 {
		return slices.Clone(ips), "the configuration", nil
	}
	if ips := r.current()[host]; len(ips) > 0 {
		return slices.Clone(ips), r.path, nil
	}
	return nil, "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// current returns the names of the file, read again if it has changed.
func (r *Resolver) current() table {
	if r.path == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.looked) < lookAgain {
		return r.file
	}
	r.looked = now
	if state, err := look(r.path); err == nil && state.sameAs(r.read) {
		return r.file
	}
	file, state, err := readFile(r.path)
	if err != nil {
		r.log.Warn("hosts file not read, the names that it had stay", slog.String("file", r.path), slog.Any("err", err))
		return r.file
	}
	r.file, r.read = file, state
	r.warn()
	return r.file
}

// warn says if lines of the file were passed over.
func (r *Resolver) warn() {
	if n := r.read.bad; n > 0 {
		r.log.Warn("lines of the hosts file that say nothing", slog.String("file", r.path), slog.Int("lines", n), slog.Int("first", r.read.firstBad))
	}
}

// fileState tells one content of a file from another.
type fileState struct {
	changed       time.Time
	size          int64
	bad, firstBad int // lines that were passed over
}

// sameAs reports whether the file has not changed since other.
func (s fileState) sameAs(other fileState) bool {
	return s.changed.Equal(other.changed) && s.size == other.size
}

func stateOf(info fs.FileInfo) fileState {
	return fileState{changed: info.ModTime(), size: info.Size()}
}
