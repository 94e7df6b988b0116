package acl

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is where a policy logs.
type log struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newPolicy(t testing.TB, o Options, r core.Resolver) (*Policy, *log) {
	t.Helper()
	out := new(log)
	if o.Default == "" {
		o.Default = "allow"
	}
	if r != nil {
		o.Resolver = "names"
	}
	p, err := New(core.Env{
		Section: core.SectionPolicy, Name: "acl", Process: new(core.Process), Graph: coretest.Graph{core.Ref[core.Resolver]("names"): r},
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Policy), out
}

func request(t testing.TB, target string, ips ...string) *core.Request {
	t.Helper()
	r := &core.Request{ID: 7, User: "bob", Client: core.Client{Addr: netip.MustParseAddrPort("203.0.113.1:4711"), Inbound: "in"}, Target: addr(t, target), Flow: new(core.Flow)}
	for _, ip := range ips {
		r.IPs = append(r.IPs, netip.MustParseAddr(ip))
	}
	return r
}

func resolver() *coretest.Resolver {
	return &coretest.Resolver{Names: map[string][]netip.Addr{
		"good.test":    {netip.MustParseAddr("192.0.2.2")},
		"rebound.test": {netip.MustParseAddr("10.0.0.1")},
		"mixed.test":   {netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.2")},
		"none.test":    {},
	}}
}

func TestMiddleware(t *testing.T) {
	for name, o := range map[string]Options{
		"no lists": {},
		"lists": {
			Default: "deny", AllowTargets: targetsOf(t, "192.0.2.0/24"), DenyTargets: targetsOf(t, "example.org"), AllowPorts: portsOf(t, "80", "1000-1100"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			coretest.TestMiddleware(t, func(t testing.TB) core.Middleware {
				p, _ := newPolicy(t, o, nil)
				return p
			})
		})
		t.Run(name+", with a resolver", func(t *testing.T) {
			coretest.TestMiddleware(t, func(t testing.TB) core.Middleware {
				p, _ := newPolicy(t, o, resolver())
				return p
			})
		})
	}
}

// TestStreams tells what is dialled, with which addresses, and what is refused
// without a dial.
func TestStreams(t *testing.T) {
	o := Options{DenyTargets: targetsOf(t, "suffix:.example.org", "10.0.0.0/8"), DenyUsers: []string{"eve"}, DenyPorts: portsOf(t, "25")}
	for _, tc := range []struct {
		name, target string
		ips          string
		user         string
		resolves     bool
		want         string // the addresses that are passed on
		err          string
	}{
		{"passes", "example.net:443", "", "", false, "", ""},
		{"denied", "www.example.org:443", "", "", false, "", "denied by policy.acl: target suffix:.example.org"},
		{"port", "example.net:25", "", "", false, "", "denied by policy.acl: port 25"},
		{"user", "example.net:443", "", "eve", false, "", `denied by policy.acl: user "eve"`},
		{"address", "10.1.2.3:443", "", "", false, "", "denied by policy.acl: target 10.0.0.0/8"},
		{"after a resolver", "example.net:443", "192.0.2.1 10.0.0.1", "", false, "192.0.2.1", ""},
		{"rebinding after a resolver", "example.net:443", "10.0.0.1", "", false, "", "denied by policy.acl: target 10.0.0.0/8"},
		{"its own resolver", "good.test:443", "", "", true, "192.0.2.2", ""},
		{"its own resolver, one of two", "mixed.test:443", "", "", true, "192.0.2.2", ""},
		{"its own resolver, rebinding", "rebound.test:443", "", "", true, "", "denied by policy.acl: target 10.0.0.0/8"},
		{"its own resolver, port", "good.test:25", "", "", true, "", "denied by policy.acl: port 25"},
		{"its own resolver, no such name", "x.test:443", "", "", true, "", "no such host"},
		{"its own resolver, no address", "none.test:443", "", "", true, "", "no address"},
		{"its own resolver, not asked again", "good.test:443", "198.51.100.1", "", true, "198.51.100.1", ""},
		{"its own resolver, an address", "10.0.0.1:443", "", "", true, "", "denied by policy.acl: target 10.0.0.0/8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var own core.Resolver
			if tc.resolves {
				own = resolver()
			}
			p, _ := newPolicy(t, o, own)
			r := request(t, tc.target, strings.Fields(tc.ips)...)
			if tc.user != "" {
				r.User = tc.user
			}
			next := coretest.NewDialer()
			next.Wait = time.Second
			s, err := p.Wrap(next).DialStream(t.Context(), r)
			if tc.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				next.Accept(t).Close()
				got := next.Requests()[0]
				if text := strings.Trim(strings.ReplaceAll(sprint(got.IPs), ",", ""), "[]"); text != tc.want || got.Target != r.Target {
					t.Errorf("got %s with %s, want %s with %q", got.Target, text, r.Target, tc.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.err) || len(next.Requests()) > 0 {
				t.Errorf("got %v after %d dials, want %s and none", err, len(next.Requests()), tc.err)
			}
			if is := errors.Is(err, core.ErrDenied); is != strings.HasPrefix(tc.err, "denied") {
				t.Errorf("got denied %t of %v", is, err)
			}
		})
	}
}

func sprint(ips []netip.Addr) string {
	var all []string
	for _, ip := range ips {
		all = append(all, ip.String())
	}
	return strings.Join(all, " ")
}

// A request that will be denied is not waited for, so that its client is told.
func TestPayloadWait(t *testing.T) {
	p, _ := newPolicy(t, Options{DenyTargets: targetsOf(t, "example.org"), DenyUsers: []string{"eve"}}, nil)
	d := p.Wrap(&coretest.Dialer{Wait: time.Second})
	eve := request(t, "example.net:80")
	eve.User = "eve"
	for name, tc := range map[string]struct {
		r    *core.Request
		want time.Duration
	}{
		"allowed": {request(t, "example.net:80"), time.Second}, "target": {request(t, "example.org:80"), 0}, "user": {eve, 0},
	} {
		if got := d.PayloadWait(tc.r); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestErrors names the key to mend, and the line of a file.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.txt"), filepath.Join(dir, "good.txt")
	save(t, bad, "example.org\n10.0.0.1/8\n")
	save(t, good, "10.0.0.0/8 # c\n\n::1\n")
	for _, tc := range []struct {
		name string
		o    Options
		want string // "" for none
	}{
		{"no lists", Options{}, ""},
		{"default", Options{Default: "drop"}, `default: want one of allow, deny, got "drop"`},
		{"deny all", Options{Default: "deny", DenyTargets: targetsOf(t, "example.org")}, `default: "deny" without an allow list`},
		{"deny by ports", Options{Default: "deny", AllowPorts: portsOf(t, "443")}, ""},
		{"file of targets", Options{DenyTargets: targetsOf(t, "file:"+good)}, ""},
		{"file of sources", Options{DenySources: sourcesOf(t, "file:"+good)}, ""},
		{"bad line", Options{AllowTargets: targetsOf(t, "file:"+good), DenyTargets: targetsOf(t, "a.example", "file:"+bad)}, "deny_targets: " + bad + ":2: "},
		{"names as sources", Options{DenySources: sourcesOf(t, "file:"+bad)}, "deny_sources: " + bad + `:1: "example.org" is not an address range`},
		{"no file", Options{AllowSources: sourcesOf(t, "file:"+dir+"/none")}, "allow_sources: read " + dir + "/none: no such file"},
		{"folder", Options{AllowUsers: []string{"file:" + dir}}, "allow_users: " + dir + " is not a file"},
		{"empty user", Options{DenyUsers: []string{""}}, "deny_users: "},
		{"expressions", Options{DenyTargets: targetsOf(t, "regexp:(?:ab){900}", "regexp:(?:ab){900}", "regexp:(?:ab){900}")}, "deny_targets: too many regular expressions"},
		{"two mistakes", Options{AllowTargets: targetsOf(t, "file:"+bad), DenyUsers: []string{""}}, "deny_users: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.o.Default == "" {
				tc.o.Default = "allow"
			}
			_, err := New(core.Env{Process: new(core.Process), Name: "acl", Log: slog.New(slog.DiscardHandler)}, tc.o)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if _, ok := errors.AsType[*core.OptionError](err); err != nil && !ok {
				t.Errorf("%v names no key", err)
			}
		})
	}
}
