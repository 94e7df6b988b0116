package dns

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// by returns a ctx for the lookups of a client and a user.
func by(ctx context.Context, ip, user string) context.Context {
	return core.ForRequest(ctx, &core.Request{User: user, Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1)}})
}

// TestFloodOfDeadNames has one client, or one user at many addresses, look up 100 names a
// second that no server answers. Lookups of another client are served at once, even of a
// name that the flood looks up too. The flood is logged once, and leaves nothing.
func TestFloodOfDeadNames(t *testing.T) {
	for name, flooder := range map[string]func(ctx context.Context, i int) context.Context{
		"one address": func(ctx context.Context, _ int) context.Context { return by(ctx, "192.0.2.66", "") },
		"one user": func(ctx context.Context, i int) context.Context {
			return by(ctx, fmt.Sprintf("198.51.100.%d", i%200), "mallory")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(q question) time.Duration {
				if strings.HasPrefix(q.name, "dead") {
					return time.Hour
				}
				return time.Millisecond
			}}
			var out bytes.Buffer
			bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
				r.log = slog.New(slog.NewTextHandler(&out, nil))
				ctx, stop := context.WithCancel(t.Context())
				var flood sync.WaitGroup
				look := func(name string, i int) {
					flood.Go(func() {
						ctx, cancel := context.WithTimeout(flooder(ctx, i), 10*time.Second)
						defer cancel()
						_, _ = r.LookupIP(ctx, name)
					})
				}
				for i := range 2000 {
					look(fmt.Sprintf("dead%d.test", i), i)
					time.Sleep(10 * time.Millisecond)
				}
				look("shared.test", 2000) // waits behind the flood's own
				time.Sleep(time.Millisecond)
				for _, name := range []string{"good.test", "shared.test"} {
					began := time.Now()
					ips, err := r.LookupIP(by(t.Context(), "192.0.2.1", "alice"), name)
					if len(ips) != 1 || err != nil || time.Since(began) > time.Millisecond {
						t.Errorf("%s: got %v, %v after %s, want an address after 1ms", name, ips, err, time.Since(began))
					}
				}
				synctest.Wait()
				if used, total := r.slots.Used(); used != total/2 {
					t.Errorf("the flood has %d of %d queries under way, want half", used, total)
				}
				stop()
				flood.Wait()
				time.Sleep(time.Minute)
				if used, _ := r.slots.Used(); used != 0 {
					t.Errorf("%d queries are under way after the flood", used)
				}
			})
			if n := strings.Count(out.String(), "queries wait for their turn"); n != 1 {
				t.Errorf("got %d lines of waiting queries, want 1:\n%s", n, out.String())
			}
		})
	}
}

// TestCrowdedIsNotKept checks that a name whose lookup got no turn is not remembered as
// one that failed.
func TestCrowdedIsNotKept(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(q question) time.Duration {
		if q.name == "dead.test" {
			return time.Hour
		}
		return 0
	}}
	bubble(t, func(o *Options) { o.MaxQueries, o.Timeout = 1, 5e9 }, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { _, _ = r.LookupIP(ctx, "dead.test") }()
		time.Sleep(time.Millisecond)
		short, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		if _, err := r.LookupIP(short, "good.test"); err == nil {
			t.Error("got an answer without a turn")
		}
		time.Sleep(5 * time.Second)
		finds(t, r, "good.test", "192.0.2.7", 0)
	})
}

// TestOneFamilyHealth checks that a server which drops one family is queried first for
// the other.
func TestOneFamilyHealth(t *testing.T) {
	first := &fakeWire{answer: says(60, "192.0.2.7"), takes: func(q question) time.Duration {
		if q.kind == 28 {
			return time.Hour
		}
		return 0
	}}
	second := &fakeWire{answer: denies(60, 60)}
	bubble(t, func(o *Options) { o.Prefer = "auto" }, []*fakeWire{first, second}, func(t *testing.T, r *Resolver) {
		for i := range 20 {
			if ips, err := r.LookupIP(t.Context(), fmt.Sprintf("n%d.test", i)); err != nil || len(ips) != 1 {
				t.Errorf("n%d: got %v, %v, want the address of the first server", i, ips, err)
			}
			time.Sleep(time.Second)
		}
	})
}

// cutter is a dialer of connections that a test makes silent, as a router does that has
// forgotten them.
type cutter struct {
	mu    sync.Mutex
	conns []*silencer // guarded by mu
}

type silencer struct {
	net.Conn
	silent atomic.Bool
}

// Write drops what is written to a silent connection.
func (s *silencer) Write(b []byte) (int, error) {
	if s.silent.Load() {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

func (c *cutter) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &silencer{Conn: conn}
	c.mu.Lock()
	c.conns = append(c.conns, s)
	c.mu.Unlock()
	return s, nil
}

// each calls do with each connection.
func (c *cutter) each(do func(*silencer)) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.conns {
		do(s)
	}
	return len(c.conns)
}

// TestDeadConnection has the shared connection of each kind of server die, by an end or
// by silence, between two lookups. The next lookups of both families use a new one.
func TestDeadConnection(t *testing.T) {
	for name, die := range map[string]func(*silencer){
		"silent": func(s *silencer) { s.silent.Store(true) },
		"closed": func(s *silencer) { s.Conn.Close() },
	} {
		t.Run("https, "+name, func(t *testing.T) {
			d := newDoH(t, func(w http.ResponseWriter, _ *http.Request, q query) { post(w, said(t, q)) })
			c := new(cutter)
			o := options(t, d.URL+"/dns-query")
			o.CA, o.Prefer, o.Timeout = d.ca, "auto", 5e9
			r := start(t, o)
			old := r.upstreams[0].wire.(*httpsWire)
			pool, err := o.trust()
			if err != nil {
				t.Fatal(err)
			}
			r.upstreams[0].wire = newHTTPS(old.url, &tls.Config{RootCAs: pool}, func(ctx context.Context) (net.Conn, error) {
				return c.dial(ctx, d.Listener.Addr().String())
			})
			survives(t, r, c, die)
		})
		t.Run("tcp, "+name, func(t *testing.T) {
			s := newScripted(t, nil, func(q query, back func([]byte)) { back(said(t, q)) })
			c := new(cutter)
			o := options(t, "tcp://"+s.addr)
			o.Prefer, o.Timeout = "auto", 5e9
			r := start(t, o)
			r.upstreams[0].wire.(*streamWire).dial = func(ctx context.Context) (net.Conn, error) { return c.dial(ctx, s.addr) }
			survives(t, r, c, die)
		})
	}
}

// survives checks lookups before and after the death of all connections.
func survives(t *testing.T, r *Resolver, c *cutter, die func(*silencer)) {
	t.Helper()
	look := func(name string) {
		if _, err := r.LookupIP(t.Context(), name); err != nil {
			if d, ok := errors.AsType[*net.DNSError](err); !ok || !d.IsNotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, kind := range []uint16{1, 28} { // after a wait for the other family
			f, err := r.start(dial.Asker{}, question{name, kind}, nil)
			if err != nil {
				t.Fatal(err)
			}
			<-f.done
			if f.entry.status == failed {
				t.Errorf("%s, type %d: %v", name, kind, f.entry.err)
			}
		}
	}
	look("a.test")
	before := c.each(die)
	look("b.test")
	look("c.test")
	if after := c.each(func(*silencer) {}); after <= before || after > before+2 {
		t.Errorf("got %d connections after %d that died, want one more, or two", after, before)
	}
}
