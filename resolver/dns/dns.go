// Package dns is the resolver that queries DNS servers: by UDP, TCP, TLS or HTTPS,
// from this machine or through any outbound. It caches answers for their TTL and
// ignores records that it did not query.
package dns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
)

// Resolver queries DNS servers.
type Resolver struct {
	log         *slog.Logger
	name        string
	counts      *counts           // belong to the process; nil until served
	servers     *group            // for all names outside domains
	domains     map[string]*group // by domain, in lower case
	upstreams   []*upstream
	store       *store // belongs to the process; nil until served
	family      option.Family
	minTTL      time.Duration
	maxTTL      time.Duration
	negativeTTL time.Duration
	staleFor    time.Duration
	prefetch    bool
	slots       *dial.Slots        // running queries; belongs to the process, nil until served
	crowded     core.Alarm         // for queries that wait for a slot
	life        context.Context    // of all queries and connections
	end         context.CancelFunc // ends life
	running     sync.WaitGroup     // all goroutines
	routes      dial.Routes

	mu      sync.Mutex
	flights map[question]*flight // guarded by mu, as all that follows
	ended   bool
	warned  time.Time // when a failure of all servers was last logged
}

var _ core.Teller = (*Resolver)(nil)

// New returns the resolver. It keeps the store of the previous generation if the
// options that determine the answers have not changed.
func New(env core.Env, o Options) (core.Resolver, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := &Resolver{
		log: env.Log, name: env.Name, family: o.Prefer, prefetch: o.Prefetch,
		minTTL: o.MinTTL.Std(), maxTTL: o.MaxTTL.Std(), negativeTTL: o.NegativeTTL.Std(), staleFor: o.ServeStale.Std(),
		domains: map[string]*group{}, flights: map[question]*flight{},
	}
	r.life, r.end = context.WithCancel(context.Background())
	b := builder{resolver: r, env: env, options: &o, known: map[option.NameServer]*upstream{}, dialer: dial.Net{Names: dial.NamesOf(env.Process)}}
	if err := b.build(); err != nil {
		return nil, err
	}
	core.Keep(env, r.adopt)
	core.Keep(env, func(old *dial.Slots) *dial.Slots {
		if old == nil {
			old = new(dial.Slots)
		}
		old.Limit(o.MaxQueries, dial.Half(o.ClientQueries, o.MaxQueries))
		r.slots = old
		return old
	})
	core.Keep(env, func(old *store) *store {
		of := o.answersDependOn()
		if old == nil || old.of != of || len(old.shards) == 1 != (o.CacheEntries < fewEntries) {
			old = newStore(of, o.CacheEntries, o.cacheBytes())
		}
		old.limit(o.CacheEntries, o.cacheBytes())
		r.store = old
		return old
	})
	return r, nil
}

// Shutdown ends all queries and closes all connections. Later lookups fail.
func (r *Resolver) Shutdown(context.Context) error {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.end()
	r.running.Wait()
	for _, u := range r.upstreams {
		u.wire.close()
	}
	return nil
}

// serversFor returns the servers of the longest domain that contains name, or the
// default servers.
func (r *Resolver) serversFor(name string) *group {
	for len(r.domains) > 0 {
		if g := r.domains[name]; g != nil {
			return g
		}
		i := strings.IndexByte(name, '.')
		if i < 0 {
			break
		}
		name = name[i+1:]
	}
	return r.servers
}

// builder creates the servers of a Resolver.
type builder struct {
	resolver *Resolver
	env      core.Env
	options  *Options
	dialer   core.Dialer
	roots    *x509.CertPool
	known    map[option.NameServer]*upstream // each server is created once, however many lists contain it
}

func (b *builder) build() (err error) {
	if b.options.Via != "" {
		out, err := b.options.Via.Get(b.env)
		if err != nil {
			return err
		}
		if b.dialer, err = out.Over(b.dialer); err != nil {
			return core.BadOption("via", "outbound.%s: %w", b.options.Via, err)
		}
	}
	if b.roots, err = b.options.trust(); err != nil {
		return err
	}
	b.resolver.servers = b.group(b.options.Servers)
	for domain, servers := range b.options.Domains {
		name := strings.ToLower(strings.TrimSuffix(domain, "."))
		if b.resolver.domains[name] != nil {
			return core.BadOption("domains", "%q is listed twice, in different letter case", name)
		}
		b.resolver.domains[name] = b.group(servers)
	}
	return nil
}

func (b *builder) group(servers []option.NameServer) *group {
	g := &group{strategy: b.options.Strategy, timeout: b.options.Timeout.Std(), running: &b.resolver.running}
	for _, s := range servers {
		u := b.known[s]
		if u == nil {
			u = &upstream{name: s.String(), wire: b.wire(s)}
			b.known[s] = u
			b.resolver.upstreams = append(b.resolver.upstreams, u)
		}
		g.servers = append(g.servers, u)
	}
	return g
}

// wire returns the wire to a server.
func (b *builder) wire(s option.NameServer) wire {
	at := &endpoint{server: s.Addr(), fixed: b.options.fixed(s), dialer: b.dialer, via: b.options.Via != "", nextID: b.env.Process.NextID, system: dial.System(b.env.Process)}
	stream := func(dial func(context.Context) (net.Conn, error), pad bool) *streamWire {
		return &streamWire{dial: dial, form: form{id: true, edns: true, pad: pad}, life: b.resolver.life, running: &b.resolver.running}
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: strings.TrimSuffix(s.Addr().Host(), "."), RootCAs: b.roots,
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	switch s.Scheme() {
	case "tcp":
		return stream(at.stream, false)
	case "tls":
		return stream(func(ctx context.Context) (net.Conn, error) { return overTLS(ctx, at, config) }, true)
	case "https":
		return newHTTPS(s.URL(), config, at.stream)
	}
	return &udpWire{at: at, tcp: stream(at.stream, false)}
}

// overTLS connects to a server by TLS and verifies its certificate.
func overTLS(ctx context.Context, at *endpoint, config *tls.Config) (net.Conn, error) {
	conn, err := at.stream(ctx)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}
