package dial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

var (
	four = netip.MustParseAddr("192.0.2.1")
	six  = netip.MustParseAddr("2001:db8::1")
)

// TestSystemName checks that the operating system gets names as they are: with a dot
// appended it would not find those of its hosts file that have one label.
func TestSystemName(t *testing.T) {
	for _, name := range []string{"printer", "web.example", "web.example."} {
		var asked []string
		s := SystemResolver{lookup: func(_ context.Context, network, name string) ([]netip.Addr, error) {
			asked = append(asked, network+" "+name)
			return []netip.Addr{netip.AddrFrom16(four.As16())}, nil
		}}
		ips, err := s.LookupIP(t.Context(), name)
		if err != nil || !slices.Equal(ips, []netip.Addr{four}) || !slices.Equal(asked, []string{"ip " + name}) {
			t.Errorf("%s: got %v, %v by the questions %q", name, ips, err, asked)
		}
	}
}

// TestSystemOneFamily has the name server drop what is asked for one family, or for
// both: package net waits 10 s for it, and nobody else does.
func TestSystemOneFamily(t *testing.T) {
	answers := map[string][]netip.Addr{"ip4": {four}, "ip6": {six}}
	for _, tc := range []struct {
		name, host string
		drops      []string // networks without an answer
		want       []netip.Addr
		took       time.Duration
	}{
		{"IPv6 is dropped", "web.example", []string{"ip", "ip6"}, []netip.Addr{four}, splitAfter + splitDelay},
		{"IPv4 is dropped", "web.example", []string{"ip", "ip4"}, []netip.Addr{six}, splitAfter + splitDelay},
		{"a single label", "printer", []string{"ip", "ip6"}, nil, 10 * time.Second},
		{"all is dropped", "web.example", []string{"ip", "ip4", "ip6"}, nil, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := SystemResolver{lookup: func(ctx context.Context, network, name string) ([]netip.Addr, error) {
					if slices.Contains(tc.drops, network) {
						select {
						case <-ctx.Done():
						case <-time.After(10 * time.Second):
						}
						return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
					}
					return slices.Clone(answers[network]), nil
				}}
				began := time.Now()
				ips, err := s.LookupIP(t.Context(), tc.host)
				if took := time.Since(began); !slices.Equal(ips, tc.want) || (err == nil) != (tc.want != nil) || took != tc.took {
					t.Errorf("got %v, %v after %s, want %v after %s", ips, err, took, tc.want, tc.took)
				}
				time.Sleep(20 * time.Second) // until lookups of a C library have ended
			})
		})
	}
}

// TestSystemBounds has one client look up dead names. It gets its share, another
// client's lookup is served at once, and what waits is logged once.
func TestSystemBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		names := new(Names)
		names.Limit(Bounds{Lookups: 20}, slog.New(slog.NewTextHandler(&out, nil)))
		var mu sync.Mutex
		running, most := 0, 0
		s := SystemResolver{names: names, lookup: func(ctx context.Context, _, name string) ([]netip.Addr, error) {
			if name == "good.example" {
				return []netip.Addr{four}, nil
			}
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Second):
			}
			mu.Lock()
			defer mu.Unlock()
			running--
			return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
		}}
		of := func(ip string) context.Context {
			return core.ForRequest(t.Context(), &core.Request{Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1)}})
		}
		var lookups sync.WaitGroup
		for i := range 100 {
			lookups.Go(func() {
				ctx, cancel := context.WithTimeout(of("192.0.2.66"), 10*time.Second)
				defer cancel()
				_, err := s.LookupIP(ctx, fmt.Sprintf("dead%d.example", i))
				if _, ok := errors.AsType[*net.DNSError](err); !ok {
					t.Errorf("got %v, want a *net.DNSError", err)
				}
			})
		}
		time.Sleep(5 * time.Second)
		began := time.Now()
		if ips, err := s.LookupIP(of("192.0.2.1"), "good.example"); len(ips) != 1 || err != nil || time.Since(began) > 0 {
			t.Errorf("another client: got %v, %v after %s, want an address at once", ips, err, time.Since(began))
		}
		lookups.Wait()
		time.Sleep(30 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 10 { // half of all
			t.Errorf("one client had %d lookups under way, want 10", most)
		}
		if used, _ := names.system.Used(); used != 0 {
			t.Errorf("%d slots are in use at the end", used)
		}
		if log := out.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "client_lookups") || !strings.Contains(log, "192.0.2.66") {
			t.Errorf("got the log\n%s\nwant one line that names client_lookups and 192.0.2.66", log)
		}
	})
}
