package dial_test

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
)

// A name in use keeps its address while it is asked for again, if that is slow, and
// after it, if it fails or if the address is still among the answers; else it gets
// the new one. No datagram waits.
func TestResolvePacketsAgain(t *testing.T) {
	const again = nameLife + time.Second
	elsewhere := netip.MustParseAddr("192.0.2.77")
	for _, tc := range []struct {
		name   string
		answer func(ip netip.Addr) ([]netip.Addr, error)
		stays  bool
	}{
		{"the same", func(ip netip.Addr) ([]netip.Addr, error) { return []netip.Addr{ip}, nil }, true},
		{"another order", func(ip netip.Addr) ([]netip.Addr, error) { return []netip.Addr{elsewhere, ip}, nil }, true},
		{"a failure", func(netip.Addr) ([]netip.Addr, error) { return nil, errors.New("no server answers") }, true},
		{"another address", func(netip.Addr) ([]netip.Addr, error) { return []netip.Addr{elsewhere}, nil }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := &coretest.Resolver{}
				c := resolvePackets(t, names)
				names.Names = c.names("a.test")
				c.write(t, 1, "a.test", "first")
				c.arrived(t, "first")
				time.Sleep(again)
				names.Hold = make(chan struct{})
				names.Names["a.test"], names.Err = tc.answer(c.far.Addr.IP())
				c.write(t, 1, "a.test", "asks again")
				c.write(t, 1, "a.test", "meanwhile")
				c.arrived(t, "asks again", "meanwhile")
				close(names.Hold)
				synctest.Wait()
				want, arrives := 1, []string{"after"}
				if !tc.stays {
					want, arrives = 0, nil // the pipe leads nowhere else
				}
				c.write(t, want, "a.test", "after")
				c.arrived(t, arrives...)
				if got := len(names.Asked()); got != 2 {
					t.Errorf("questions: got %d, want 2", got)
				}
			})
		})
	}
}

// What waits is bounded in bytes, for all names together, and the bound is free
// again when it has gone.
func TestResolvePacketsWaitBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Hold: make(chan struct{})}
		c := resolvePackets(t, names)
		names.Names = c.names("a.test", "b.test", "c.test")
		big := string(make([]byte, 32_000))
		c.write(t, 8, "a.test", big, big, big, big, big, big, big, big) // 6,144 bytes less than the bound
		c.write(t, 0, "b.test", big)
		c.write(t, 1, "b.test", "small")
		close(names.Hold)
		synctest.Wait()
		if len(c.came) != 9 { // of two names, in either order
			t.Errorf("got %d datagrams, want 9", len(c.came))
		}
		c.came = nil
		names.Hold = make(chan struct{})
		c.write(t, 8, "c.test", big, big, big, big, big, big, big, big)
		close(names.Hold)
		synctest.Wait()
		if len(c.came) != 8 {
			t.Errorf("later: got %d datagrams, want 8", len(c.came))
		}
	})
}
