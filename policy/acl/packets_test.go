package acl

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// sent is a PacketConn that remembers where datagrams went.
type sent struct {
	mu sync.Mutex
	to []string // guarded by mu
}

func (s *sent) WritePackets(ps []core.Packet) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ps {
		s.to = append(s.to, p.Addr.String()+" "+string(p.Data))
	}
	return len(ps), nil
}

func (s *sent) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.to = nil }()
	return strings.Join(s.to, ", ")
}

func (*sent) Receive(core.PacketSink) {}
func (*sent) Close() error            { return nil }

// open opens an association of a policy.
func open(t *testing.T, p *Policy) (core.PacketConn, *sent) {
	t.Helper()
	s := new(sent)
	d := p.Wrap(&coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return s, nil }})
	if err := d.CheckPackets(); err != nil {
		t.Errorf("check: got %v, want nil", err)
	}
	c, err := d.OpenPackets(t.Context(), request(t, "0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

// TestPackets judges each datagram of a burst.
func TestPackets(t *testing.T) {
	o := Options{DenyTargets: targetsOf(t, "example.org", "10.0.0.0/8"), DenyPorts: portsOf(t, "25")}
	for _, tc := range []struct {
		name     string
		resolves bool
		to, want string
	}{
		{"all pass", false, "192.0.2.1:53 example.net:53", "192.0.2.1:53 0, example.net:53 1"},
		{"some", false, "10.0.0.1:53 192.0.2.1:53 a.example.org:53 192.0.2.1:25 192.0.2.3:53", "192.0.2.1:53 1, 192.0.2.3:53 4"},
		{"none", false, "10.0.0.1:53 example.org:53", ""},
		{"mapped", false, "[::ffff:10.0.0.1]:53", ""},
		{"with a resolver", true, "10.0.0.1:53 good.test:53 rebound.test:53 mixed.test:54 mixed.test:25 example.org:53 x.test:53 192.0.2.9:53",
			"192.0.2.9:53 7, 192.0.2.2:53 1, 192.0.2.2:54 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var own core.Resolver
				if tc.resolves {
					own = resolver()
				}
				p, out := newPolicy(t, o, own)
				c, s := open(t, p)
				var ps []core.Packet
				for i, to := range strings.Fields(tc.to) {
					ps = append(ps, core.Packet{Addr: addr(t, to), Data: []byte{byte('0' + i)}})
				}
				if _, err := c.WritePackets(ps); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				got := s.take()
				if tc.resolves { // in the order of their answers
					for _, one := range strings.Split(tc.want, ", ") {
						if !strings.Contains(got, one) {
							t.Errorf("got %q, want %q among it", got, one)
						}
					}
				} else if got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				if len(got) != len(tc.want) {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				if strings.Contains(tc.to, "10.0.0.1") && !strings.Contains(out.String(), `msg="datagram denied" target=10.0.0.1:53 reason="target 10.0.0.0/8"`) {
					t.Errorf("the log does not tell of a datagram that was dropped:\n%s", out)
				}
			})
		})
	}
}

// A client or a user that is denied opens no association.
func TestPacketsWho(t *testing.T) {
	for name, o := range map[string]Options{
		"source": {DenySources: sourcesOf(t, "203.0.113.0/24")}, "user": {DenyUsers: []string{"bob"}},
	} {
		p, _ := newPolicy(t, o, nil)
		next := &coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return new(sent), nil }}
		if c, err := p.Wrap(next).OpenPackets(t.Context(), request(t, "0.0.0.0:0")); c != nil || !errors.Is(err, core.ErrDenied) || len(next.Requests()) > 0 {
			t.Errorf("%s: got %v, %v after %d opened, want %v", name, c, err, len(next.Requests()), core.ErrDenied)
		}
	}
}

// A datagram that passes costs no memory.
func TestPacketsAllocations(t *testing.T) {
	p, _ := newPolicy(t, Options{DenyTargets: targetsOf(t, "example.org", "keyword:ads", "10.0.0.0/8")}, nil)
	s := drain{}
	d := p.Wrap(&coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return s, nil }})
	c, err := d.OpenPackets(t.Context(), request(t, "0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	all := [2]core.Packet{{Addr: addr(t, "WWW.example.net:53")}, {Addr: addr(t, "192.0.2.1:53")}}
	ps := all[:]
	if got := testing.AllocsPerRun(1000, func() { _, _ = c.WritePackets(ps) }); got != 0 {
		t.Errorf("got %g allocations, want none", got)
	}
}

// drain is a PacketConn that takes all.
type drain struct{}

func (drain) WritePackets(ps []core.Packet) (int, error) { return len(ps), nil }
func (drain) Receive(core.PacketSink)                    {}
func (drain) Close() error                               { return nil }
