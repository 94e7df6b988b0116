package coretest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// Names are the names that TestResolver looks up.
type Names struct {
	Known   string // has at least one address
	Missing string // does not exist; "" to skip the test of such a name
}

// TestResolver checks that a resolver satisfies the contract of core.Resolver.
func TestResolver(t *testing.T, names Names, makeResolver func(t testing.TB) core.Resolver) {
	t.Run("known name", func(t *testing.T) {
		ips, err := makeResolver(t).LookupIP(t.Context(), names.Known)
		if err != nil || len(ips) == 0 {
			t.Fatalf("%s: got %v, %v, want an address", names.Known, ips, err)
		}
		for i, ip := range ips {
			if !ip.IsValid() || ip.Is4In6() {
				t.Errorf("%s: got %v, want valid and unmapped addresses", names.Known, ip)
			}
			if slices.Contains(ips[:i], ip) {
				t.Errorf("%s: got %v twice", names.Known, ip)
			}
		}
	})
	t.Run("Tell", func(t *testing.T) {
		r := makeResolver(t)
		ips, err := r.LookupIP(t.Context(), names.Known)
		if err != nil {
			t.Fatal(err)
		}
		found, err := core.Tell(t.Context(), r, names.Known)
		if err != nil || len(found) != len(ips) {
			t.Fatalf("%s: Tell: got %v, %v, want the sources of %v", names.Known, found, err, ips)
		}
		for i := range found {
			if !slices.Contains(ips, found[i].IP) || found[i].TTL < 0 {
				t.Errorf("%s: Tell: got %+v, want one of %v", names.Known, found[i], ips)
			}
		}
	})
	t.Run("missing name", func(t *testing.T) {
		if names.Missing == "" {
			t.Skip("no name to ask for")
		}
		r := makeResolver(t)
		ips, err := r.LookupIP(t.Context(), names.Missing)
		var dns *net.DNSError
		if len(ips) != 0 || !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: got %v, %v, want a *net.DNSError with IsNotFound", names.Missing, ips, err)
		}
		measuredBy(t, r)
	})
	t.Run("cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "a lookup with a cancelled context", func() {
			// A cached answer is allowed; an error must belong to this lookup.
			if ips, err := makeResolver(t).LookupIP(ctx, names.Known); err == nil && len(ips) == 0 {
				t.Error("got neither addresses nor an error")
			}
		})
	})
	t.Run("at once", func(t *testing.T) {
		r := makeResolver(t)
		within(t, "lookups at once", func() {
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					if ips, err := r.LookupIP(t.Context(), names.Known); err != nil || len(ips) == 0 {
						t.Errorf("got %v, %v, want an address", ips, err)
					}
				})
			}
			all.Wait()
		})
		measuredBy(t, r)
	})
}
