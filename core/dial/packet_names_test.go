package dial_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

// The bounds that ResolvePackets documents.
const (
	maxNames   = 256
	maxLookups = maxNames / 4
	maxWaiting = maxNames / 4
	nameLife   = 30 * time.Second
)

// resolved is a PacketConn of core.ResolvePackets over one end of a pipe.
type resolved struct {
	core.PacketConn
	far  coretest.PacketEnd // where all names of names lead
	flow *core.Flow
	came []string // at far; read it after synctest.Wait
}

// resolvePackets returns one within a bubble. It is closed at the end.
func resolvePackets(t *testing.T, r core.Resolver) *resolved {
	t.Helper()
	near, far := coretest.PacketPipe()
	c := &resolved{far: far, flow: new(core.Flow)}
	c.PacketConn = dial.ResolvePackets(near.Conn, "resolver.x", r, &core.Request{Flow: c.flow}, nil)
	far.Conn.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			c.came = append(c.came, string(p.Data))
		}
	})
	t.Cleanup(func() { c.Close(); far.Conn.Close() })
	return c
}

// names are a resolver whose names all lead to the far end.
func (c *resolved) names(all ...string) map[string][]netip.Addr {
	known := map[string][]netip.Addr{}
	for _, name := range all {
		known[name] = []netip.Addr{c.far.Addr.IP()}
	}
	return known
}

// write sends texts to a host at the far end's port and checks how many are taken.
func (c *resolved) write(t *testing.T, want int, host string, texts ...string) {
	t.Helper()
	to, err := core.NewAddr(host, c.far.Addr.Port())
	if err != nil {
		t.Fatal(err)
	}
	var ps []core.Packet
	for _, text := range texts {
		ps = append(ps, core.Packet{Addr: to, Data: []byte(text)})
	}
	n, err := c.WritePackets(ps)
	if n != want || err != nil {
		t.Errorf("write to %s: got %d, %v, want %d, nil", host, n, err, want)
	}
	for i := range ps {
		clear(ps[i].Data) // it is the writer's again
	}
	clear(ps)
}

// arrived checks what came at the far end since the last call.
func (c *resolved) arrived(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(c.came, want) {
		t.Errorf("arrived: got %q, want %q", c.came, want)
	}
	c.came = nil
}

// While a name is looked up, its datagrams wait, up to a bound, and all others
// pass.
func TestResolvePacketsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Hold: make(chan struct{})}
		c := resolvePackets(t, names)
		names.Names = c.names("slow.test")
		var texts []string
		for i := range maxWaiting + 3 {
			texts = append(texts, fmt.Sprint(i))
		}
		c.write(t, 2, "slow.test", texts[:2]...)
		c.write(t, 1, c.far.Addr.Host(), "passes")
		c.write(t, maxWaiting-2, "slow.test", texts[2:]...)
		c.write(t, 0, "slow.test", "one too many")
		c.arrived(t, "passes")
		close(names.Hold)
		c.arrived(t, texts[:maxWaiting]...)
		c.write(t, 1, "slow.test", "later")
		c.arrived(t, "later")
		if got := names.Asked(); len(got) != 1 {
			t.Errorf("asked for %q, want one question", got)
		}
	})
}

// Names, addresses and unknown names in one burst go their ways in order.
func TestResolvePacketsMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{}
		c := resolvePackets(t, names)
		names.Names = c.names("a.test")
		names.Names["none.test"] = nil
		to := func(s string) core.Addr { return coretest.Addr(t, fmt.Sprintf("%s:%d", s, c.far.Addr.Port())) }
		burst := func() []core.Packet {
			return []core.Packet{
				{Addr: to("a.test"), Data: []byte("1")}, {Addr: c.far.Addr, Data: []byte("2")},
				{Addr: to("lost.test"), Data: []byte("3")}, {Addr: to("none.test"), Data: []byte("4")},
				{Addr: to("a.test"), Data: []byte("5")}, {Addr: c.far.Addr, Data: []byte("6")},
			}
		}
		if n, err := c.WritePackets(burst()); n != 6 || err != nil {
			t.Errorf("first burst: got %d, %v, want 6, nil: all wait or pass", n, err)
		}
		c.arrived(t, "2", "6", "1", "5")
		if n, err := c.WritePackets(burst()); n != 4 || err != nil {
			t.Errorf("second burst: got %d, %v, want 4, nil: two have no address", n, err)
		}
		c.arrived(t, "1", "2", "5", "6")
	})
}

// A burst to many new names loses nothing: those that are not looked up at once wait.
func TestResolvePacketsLookupsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Hold: make(chan struct{})}
		c := resolvePackets(t, names)
		var all []string
		for i := range maxNames + 1 {
			all = append(all, fmt.Sprintf("n%d.test", i))
		}
		names.Names = c.names(all...)
		for _, name := range all[:maxNames] {
			c.write(t, 1, name, name)
		}
		last := all[maxNames]
		c.write(t, 0, last, "dropped")
		c.write(t, 1, all[0], "again")
		synctest.Wait()
		if got := len(names.Asked()); got != maxLookups {
			t.Errorf("questions at once: got %d, want %d", got, maxLookups)
		}
		close(names.Hold)
		synctest.Wait()
		slices.Sort(c.came) // lookups end in any order
		want := append([]string{"again"}, all[:maxNames]...)
		slices.Sort(want)
		c.arrived(t, want...)
		c.write(t, 1, last, "now")
		c.arrived(t, "now")
	})
}

// However many names there are, few are remembered: an old one is looked up again, a
// new one is not.
func TestResolvePacketsNamesBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{}
		c := resolvePackets(t, names)
		var all []string
		for i := range 3 * maxNames {
			all = append(all, fmt.Sprintf("n%d.test", i))
		}
		names.Names = c.names(all...)
		for _, name := range all {
			c.write(t, 1, name, name)
			c.arrived(t, name)
		}
		asked := len(names.Asked())
		last := all[len(all)-1]
		c.write(t, 1, last, "again")
		c.arrived(t, "again")
		if n := len(names.Asked()); n != asked {
			t.Errorf("the last name: got %d lookups, want %d", n, asked)
		}
		remembered := 0
		for _, name := range all {
			before := len(names.Asked())
			c.write(t, 1, name, "again")
			c.arrived(t, "again")
			if len(names.Asked()) == before {
				remembered++
			}
		}
		if remembered > maxNames {
			t.Errorf("remembered: got %d names, want %d at most", remembered, maxNames)
		}
	})
}

// A name that was found is used for 30 s, one that was not for 5 s.
func TestResolvePacketsLife(t *testing.T) {
	for _, tc := range []struct {
		name  string
		known bool
		err   error
		life  time.Duration
	}{
		{"found", true, nil, 30 * time.Second},
		{"not found", false, nil, 5 * time.Second},
		{"failed", true, errors.New("no server"), 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := &coretest.Resolver{Err: tc.err}
				c := resolvePackets(t, names)
				if tc.known {
					names.Names = c.names("a.test")
				}
				good := 0
				if tc.known && tc.err == nil {
					good = 1
				}
				c.write(t, 1, "a.test", "x")
				synctest.Wait()
				time.Sleep(tc.life)
				c.write(t, good, "a.test", "x")
				synctest.Wait()
				if got := len(names.Asked()); got != 1 {
					t.Errorf("questions within %s: got %d, want 1", tc.life, got)
				}
				time.Sleep(time.Nanosecond)
				c.write(t, 1, "a.test", "x")
				synctest.Wait()
				if got := len(names.Asked()); got != 2 {
					t.Errorf("questions after %s: got %d, want 2", tc.life, got)
				}
				if got := len(c.came); got != 3*good {
					t.Errorf("arrived: got %d, want %d", got, 3*good)
				}
			})
		})
	}
}
