package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/test/peer"
)

// tunnel is an outbound that knows where dns.test is, as the far end of a hop does.
type tunnel struct {
	wire    core.Dialer
	streams bool // it carries no UDP

	mu    sync.Mutex
	asked []string // what was opened, in order
}

func (u *tunnel) Over(wire core.Dialer) (core.Dialer, error) {
	u.wire = dial.WithResolver(wire, "resolver.x", &coretest.Resolver{Names: map[string][]netip.Addr{"dns.test": addrs("127.0.0.1")}})
	return u, nil
}

func (u *tunnel) note(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, fmt.Sprintf(format, args...))
}

func (u *tunnel) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	u.note("tcp %s %v", r.Target.Host(), r.IPs)
	return u.wire.DialStream(ctx, r)
}

func (u *tunnel) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	u.note("udp %s %v", r.Target.Host(), r.IPs)
	return u.wire.OpenPackets(ctx, r)
}

func (u *tunnel) CheckPackets() error {
	if u.streams {
		return core.ErrNoPackets
	}
	return nil
}

func (*tunnel) PayloadWait(*core.Request) time.Duration { return time.Hour }

// TestVia asks unbound through an outbound, by each way.
func TestVia(t *testing.T) {
	u := peer.StartUnbound(t, zone(), "")
	for _, tc := range []struct {
		name, server string
		fixed        bool
		streams      bool
		want         []string
	}{
		{"udp", peer.Addr(u.Port), false, false, []string{"udp 127.0.0.1 []"}},
		{"udp by name", fmt.Sprintf("dns.test:%d", u.Port), false, false, []string{"udp dns.test []"}},
		{"udp by name, bootstrap", fmt.Sprintf("dns.test:%d", u.Port), true, false, []string{"udp dns.test [127.0.0.1]"}},
		{"udp where there is none", peer.Addr(u.Port), false, true, []string{"tcp 127.0.0.1 []"}},
		{"tcp", "tcp://" + peer.Addr(u.Port), false, false, []string{"tcp 127.0.0.1 []"}},
		{"tls by name", fmt.Sprintf("tls://dns.test:%d", u.TLS), false, false, []string{"tcp dns.test []"}},
		{"tls, bootstrap", fmt.Sprintf("tls://dns.test:%d", u.TLS), true, false, []string{"tcp dns.test [127.0.0.1]"}},
		{"https by name", fmt.Sprintf("https://dns.test:%d/dns-query", u.HTTPS), false, false, []string{"tcp dns.test []"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := &tunnel{streams: tc.streams}
			env := coretest.Env(t)
			env.Graph = coretest.Graph{core.Ref[core.Outbound]("far"): out}
			o := options(t, tc.server)
			o.Via, o.CA, o.Prefer = "far", u.CA, "ipv4-only"
			if tc.fixed {
				o.Bootstrap = bootstrap("dns.test", "127.0.0.1")
			}
			r := startIn(t, env, o)
			if got, err := r.LookupIP(t.Context(), "one.test"); err != nil || !slices.Equal(got, addrs("192.0.2.7")) {
				t.Errorf("got %v, %v, want 192.0.2.7", got, err)
			}
			if !slices.Equal(out.asked, tc.want) {
				t.Errorf("got %q through the outbound, want %q", out.asked, tc.want)
			}
			if got, err := r.LookupIP(t.Context(), "many.test"); err != nil || len(got) != maxAddrs {
				t.Errorf("a long answer: got %d addresses, %v, want %d", len(got), err, maxAddrs)
			}
		})
	}
}

// TestViaDead checks that nothing goes beside an outbound that can't be reached.
func TestViaDead(t *testing.T) {
	s := newScripted(t, func(q query, back func([]byte)) { back(said(t, q)) }, func(q query, back func([]byte)) { back(said(t, q)) })
	env := coretest.Env(t)
	env.Graph = coretest.Graph{core.Ref[core.Outbound]("far"): deadEnd{}}
	for _, server := range []string{s.addr, "tcp://" + s.addr} {
		o := options(t, server)
		o.Via = "far"
		if got, err := startIn(t, env, o).LookupIP(t.Context(), "a.test"); err == nil || !strings.Contains(err.Error(), "nothing leaves") {
			t.Errorf("%s: got %v, %v, want the outbound's error", server, got, err)
		}
	}
	if datagrams, messages, _ := s.counts(); datagrams+messages > 0 {
		t.Errorf("got %d questions at the server, want none", datagrams+messages)
	}
}

// deadEnd is an outbound that reaches nothing.
type deadEnd struct{}

var errNothing = fmt.Errorf("%w: nothing leaves", core.ErrDenied)

func (d deadEnd) Over(core.Dialer) (core.Dialer, error) { return d, nil }

func (deadEnd) DialStream(context.Context, *core.Request) (core.Stream, error) {
	return nil, errNothing
}

func (deadEnd) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, errNothing
}

func (deadEnd) CheckPackets() error { return nil }

func (deadEnd) PayloadWait(*core.Request) time.Duration { return 0 }
