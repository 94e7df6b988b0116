package dial

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// asker returns the Asker of a client and a user.
func asker(ip, user string) Asker {
	r := &core.Request{User: user, Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1)}}
	return AskerOf(core.ForRequest(context.Background(), r))
}

// TestSlotsShares checks whom the bound of each counts as one.
func TestSlotsShares(t *testing.T) {
	for _, tc := range []struct {
		name       string
		has, wants Asker
		free       bool
	}{
		{"the same client", asker("192.0.2.1", ""), asker("192.0.2.1", ""), false},
		{"another client", asker("192.0.2.1", ""), asker("192.0.2.2", ""), true},
		{"the same /64", asker("2001:db8::1", ""), asker("2001:db8::2", ""), false},
		{"the same user elsewhere", asker("192.0.2.1", "bob"), asker("192.0.2.2", "bob"), false},
		{"another user at the same address", asker("192.0.2.1", "bob"), asker("192.0.2.1", "eve"), false},
		{"another user elsewhere", asker("192.0.2.1", "bob"), asker("192.0.2.2", "eve"), true},
		{"the program itself", Asker{}, Asker{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s Slots
			s.Limit(8, 2)
			for range 2 {
				if !s.Try(tc.has) {
					t.Fatal("no slots at first")
				}
			}
			if got := s.Try(tc.wants); got != tc.free {
				t.Errorf("a third slot: got %t, want %t", got, tc.free)
			}
			s.Release(tc.has)
			if !tc.free && !s.Try(tc.wants) {
				t.Error("no slot after a release")
			}
		})
	}
	var none Slots
	for range 1000 {
		if !none.Try(asker("192.0.2.1", "")) {
			t.Fatal("the zero Slots has a bound")
		}
	}
}

// TestSlotsFair has one client occupy its share and queue, and others fill the rest. The
// next slot goes to the one with the fewest, and each gets its turns in order.
func TestSlotsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Slots
		s.Limit(4, 3)
		busy, rest, late := asker("192.0.2.1", ""), asker("192.0.2.2", ""), asker("192.0.2.3", "")
		for range 3 {
			s.Try(busy)
		}
		s.Try(rest)
		var order []string
		wait := func(a Asker, as string) {
			go func() {
				if err := s.Acquire(t.Context(), a); err != nil {
					t.Error(err)
				}
				order = append(order, as)
			}()
			synctest.Wait()
		}
		wait(busy, "busy 1")
		wait(busy, "busy 2")
		wait(late, "late")
		s.Release(rest)
		synctest.Wait()
		s.Release(busy)
		synctest.Wait()
		s.Release(busy)
		synctest.Wait()
		if want := []string{"late", "busy 1", "busy 2"}; !slices.Equal(order, want) {
			t.Errorf("got the order %q, want %q", order, want)
		}
		if used, total := s.Used(); used != 4 || total != 4 {
			t.Errorf("got %d of %d in use, want 4 of 4", used, total)
		}
	})
}

// TestSlotsLeave checks that a wait which ends takes no slot, and wakes those who wait
// when the bound is raised.
func TestSlotsLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Slots
		s.Limit(1, 1)
		a := asker("192.0.2.1", "")
		s.Try(a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Acquire(ctx, a); !errors.Is(err, core.ErrCrowded) {
			t.Errorf("got %v, want ErrCrowded", err)
		}
		s.Release(a)
		if used, _ := s.Used(); used != 0 || len(s.shares) != 0 || len(s.queue) != 0 {
			t.Errorf("got %d in use, %v, %v, want none", used, s.shares, s.queue)
		}
		s.Try(a)
		got := make(chan error, 1)
		go func() { got <- s.Acquire(t.Context(), a) }()
		synctest.Wait()
		s.Limit(2, 2)
		if err := <-got; err != nil {
			t.Errorf("after the bound was raised: %v", err)
		}
	})
}
