package dns

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// families answers both families, or fails those whose address is "".
func families(four, six string) func(question) (reply, error) {
	return func(q question) (reply, error) {
		ip := four
		if q.kind == dns.TypeAAAA {
			ip = six
		}
		switch ip {
		case "":
			return fails(q)
		case "none":
			return reply{soa: &soa{"test", 60, 60}}, nil
		case "missing":
			return denies(60, 60)(q)
		}
		return says(60, ip)(q)
	}
}

// delays takes a time for each family.
func delays(four, six time.Duration) func(question) time.Duration {
	return func(q question) time.Duration {
		if q.kind == dns.TypeAAAA {
			return six
		}
		return four
	}
}

// TestFamilies checks what becomes of the answers of two families, one of which
// may be late.
func TestFamilies(t *testing.T) {
	const four, six = "192.0.2.7", "2001:db8::7"
	for _, tc := range []struct {
		name      string
		wire      *fakeWire
		want      []string
		took      time.Duration
		notFound  bool
		temporary bool
	}{
		{"both", &fakeWire{answer: families(four, six)}, []string{four, six}, 0, false, false},
		{"both within the delay", &fakeWire{answer: families(four, six), takes: delays(time.Second, 1040*time.Millisecond)},
			[]string{four, six}, 1040 * time.Millisecond, false, false},
		{"IPv6 is late", &fakeWire{answer: families(four, six), takes: delays(time.Second, 1900*time.Millisecond)},
			[]string{four}, 1050 * time.Millisecond, false, false},
		{"IPv4 is late", &fakeWire{answer: families(four, six), takes: delays(1900*time.Millisecond, time.Second)},
			[]string{six}, 1250 * time.Millisecond, false, false},
		{"no IPv6", &fakeWire{answer: families(four, "none"), takes: delays(time.Second, 0)}, []string{four}, time.Second, false, false},
		{"IPv6 fails", &fakeWire{answer: families(four, "")}, []string{four}, 0, false, false},
		{"IPv4 fails", &fakeWire{answer: families("", six)}, []string{six}, 0, false, false},
		{"neither", &fakeWire{answer: families("none", "none")}, nil, 0, true, false},
		{"no such name", &fakeWire{answer: families("missing", "missing")}, nil, 0, true, false},
		{"one unknown, one fails", &fakeWire{answer: families("none", "")}, nil, 0, false, true},
		{"one missing, one fails", &fakeWire{answer: families("", "missing")}, nil, 0, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(o *Options) { o.Prefer = "ipv4" }, []*fakeWire{tc.wire}, func(t *testing.T, r *Resolver) {
				began := time.Now()
				got, err := r.LookupIP(t.Context(), "a.test")
				if took := time.Since(began); !slices.Equal(got, addrs(tc.want...)) || took != tc.took {
					t.Errorf("got %v, %v after %v, want %v after %v", got, err, took, tc.want, tc.took)
				}
				d, ok := errors.AsType[*net.DNSError](err)
				if ok != (tc.want == nil) || ok && (d.IsNotFound != tc.notFound || d.IsTemporary != tc.temporary) {
					t.Errorf("got %+v, want not found %t, temporary %t", err, tc.notFound, tc.temporary)
				}
			})
		})
	}
}

// TestLate checks that the family that was late is there the next time.
func TestLate(t *testing.T) {
	w := &fakeWire{answer: families("192.0.2.7", "2001:db8::7"), takes: delays(0, time.Second)}
	bubble(t, func(o *Options) { o.Prefer = "ipv6" }, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		finds(t, r, "a.test", "192.0.2.7", resolutionDelay)
		time.Sleep(time.Second)
		if got, err := r.LookupIP(t.Context(), "a.test"); err != nil || !slices.Equal(got, addrs("2001:db8::7", "192.0.2.7")) {
			t.Errorf("got %v, %v, want both", got, err)
		}
		if w.count() != 2 {
			t.Errorf("got %d questions, want 2", w.count())
		}
	})
}

// TestOneFamily checks that a family that is not wanted is not asked for.
func TestOneFamily(t *testing.T) {
	for prefer, want := range map[string]uint16{"ipv4-only": dns.TypeA, "ipv6-only": dns.TypeAAAA} {
		w := &fakeWire{answer: families("192.0.2.7", "2001:db8::7")}
		bubble(t, func(o *Options) { _ = o.Prefer.UnmarshalText([]byte(prefer)) }, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
			got, err := r.LookupIP(t.Context(), "a.test")
			if err != nil || len(got) != 1 || got[0].Is4() != (want == dns.TypeA) || w.count() != 1 || w.asked[0].kind != want {
				t.Errorf("%s: got %v, %v by %v, want one family alone", prefer, got, err, w.asked)
			}
		})
	}
}

// TestNeverAsked checks names that no server learns of.
func TestNeverAsked(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7")}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		for name, want := range map[string][]string{
			"localhost": {"127.0.0.1", "::1"}, "a.LocalHost.": {"127.0.0.1", "::1"},
			"192.0.2.1": {"192.0.2.1"}, "::ffff:192.0.2.1": {"192.0.2.1"}, "2001:db8::1": {"2001:db8::1"}, "2001:db8::a": {"2001:db8::a"},
			"a.onion": nil, "invalid": nil, "": nil, ".": nil, "a..b": nil, "a b": nil, "a\x00b": nil, "ä.test": nil,
		} {
			got, err := r.LookupIP(t.Context(), name)
			d, ok := errors.AsType[*net.DNSError](err)
			if !slices.Equal(got, addrs(want...)) || (want == nil) != (ok && d.IsNotFound) {
				t.Errorf("%q: got %v, %v, want %v", name, got, err, want)
			}
			found, err := r.Tell(t.Context(), name)
			if len(found) != len(want) || (want == nil) != (err != nil) {
				t.Errorf("%q: told %v, %v, want %v", name, found, err, want)
			}
		}
		if w.count() != 0 {
			t.Errorf("asked for %v, want nothing", w.asked)
		}
		// What old C libraries take for an address is a name as any other.
		for _, name := range []string{"127.1", "0x7f.1", "2130706433"} {
			if _, err := r.LookupIP(t.Context(), name); err != nil || w.asked[len(w.asked)-1].name != name {
				t.Errorf("%s: got %v, asked for %v, want it asked for", name, err, w.asked)
			}
		}
	})
}
