package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addrs(list ...string) []netip.Addr {
	var ips []netip.Addr
	for _, s := range list {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips
}

// write writes a hosts file and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(name string, ips ...string) map[string][]option.IP {
	list := make([]option.IP, len(ips))
	for i, ip := range addrs(ips...) {
		list[i].Addr = ip
	}
	return map[string][]option.IP{name: list}
}

func start(t testing.TB, o Options) *Resolver {
	t.Helper()
	r, err := New(coretest.Env(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return r.(*Resolver)
}

// gives checks what a name leads to; nothing is that it is not found.
func gives(t *testing.T, r core.Resolver, name string, want ...string) {
	t.Helper()
	got, err := r.LookupIP(t.Context(), name)
	dns, ok := errors.AsType[*net.DNSError](err)
	if !slices.Equal(got, addrs(want...)) || (want == nil) != (ok && dns.IsNotFound) {
		t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
	}
}

func TestLookup(t *testing.T) {
	r := start(t, Options{
		Names: names("Nas.example", "192.0.2.5", "2001:db8::5"),
		File:  write(t, "192.0.2.1 one.example uno # two names\n\n# comment\n2001:db8::1\tone.example\n::ffff:192.0.2.2 two.example.\r\n192.0.2.9 nas.example\n0.0.0.0 ads.example\n192.0.2.3 localhost\n"),
	})
	gives(t, r, "one.example", "192.0.2.1", "2001:db8::1")
	gives(t, r, "ONE.example.", "192.0.2.1", "2001:db8::1")
	gives(t, r, "uno", "192.0.2.1")
	gives(t, r, "two.example", "192.0.2.2")
	gives(t, r, "nas.example", "192.0.2.5", "2001:db8::5")
	gives(t, r, "ads.example", "0.0.0.0")
	gives(t, r, "localhost", "127.0.0.1", "::1")
	gives(t, r, "three.example")
	gives(t, r, "")
	for name, want := range map[string]string{"nas.example": "the configuration", "uno": r.path} {
		if found, err := r.Tell(t.Context(), name); err != nil || len(found) == 0 || found[0].From != want {
			t.Errorf("%s: told %v, %v, want that %s says so", name, found, err, want)
		}
	}
}

// TestParse checks which lines say nothing.
func TestParse(t *testing.T) {
	for _, tc := range []struct {
		line string
		bad  bool
		want string // the address of "a"
	}{
		{"192.0.2.1 a", false, "192.0.2.1"},
		{"192.0.2.1\ta b c", false, "192.0.2.1"},
		{"192.0.2.1 a#b", false, "192.0.2.1"},
		{"192.0.2.1", true, ""},
		{"a 192.0.2.1", true, ""},
		{"192.0.2 a", true, ""},
		{"192.0.2.1 a x..y", true, "192.0.2.1"},
		{"192.0.2.1 192.0.2.1", true, ""},
		{"fe80::1%lo0 a", false, ""},
		{"# 192.0.2.1 a", false, ""},
		{"", false, ""},
		{"\x00", true, ""},
	} {
		got, bad, first := parse([]byte("\n" + tc.line + "\n"))
		var want []netip.Addr
		if tc.want != "" {
			want = addrs(tc.want)
		}
		if (bad == 1) != tc.bad || tc.bad && first != 2 || !slices.Equal(got["a"], want) {
			t.Errorf("%q: got %v, %d bad, the first %d, want %s, bad %t", tc.line, got, bad, first, tc.want, tc.bad)
		}
	}
}

// TestReload checks that a file that has changed is read again, but not at each
// lookup, and that one that is gone leaves its names.
func TestReload(t *testing.T) {
	path := write(t, "192.0.2.1 a.example\n")
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{File: path})
		change := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		gives(t, r, "a.example", "192.0.2.1")
		change("192.0.2.22 a.example\n")
		gives(t, r, "a.example", "192.0.2.1")
		time.Sleep(checkEvery)
		gives(t, r, "a.example", "192.0.2.22")
		time.Sleep(checkEvery)
		gives(t, r, "a.example", "192.0.2.22")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(checkEvery)
		gives(t, r, "a.example", "192.0.2.22")
		change("192.0.2.3 a.example\nbad\n")
		time.Sleep(checkEvery)
		gives(t, r, "a.example", "192.0.2.3")
	})
}

func TestRefused(t *testing.T) {
	twice := names("a.test", "192.0.2.1")
	twice["A.Test."] = twice["a.test"]
	for _, tc := range []struct {
		name    string
		options Options
		key     string
		text    string
	}{
		{"nothing", Options{}, "names", "missing"},
		{"an invalid name", Options{Names: names("a b", "192.0.2.1")}, "names", "is not a host name"},
		{"an address", Options{Names: names("192.0.2.1", "192.0.2.1")}, "names", "is not a host name"},
		{"no address", Options{Names: names("a.test")}, "names", "a.test: empty list"},
		{"twice", Options{Names: twice}, "names", "is listed twice"},
		{"no file", Options{File: filepath.Join(t.TempDir(), "none")}, "file", "no such file"},
		{"a folder", Options{File: t.TempDir()}, "file", "is not a file"},
	} {
		r, err := New(coretest.Env(t), tc.options)
		bad, ok := errors.AsType[*core.OptionError](err)
		if r != nil || !ok || bad.Key != tc.key || !strings.Contains(bad.Err.Error(), tc.text) {
			t.Errorf("%s: got %v, %v, want the key %s and %q", tc.name, r, err, tc.key, tc.text)
		}
	}
}

func TestConformance(t *testing.T) {
	coretest.TestResolver(t, coretest.Names{Known: "a.test", Missing: "b.test"}, func(t testing.TB) core.Resolver {
		return start(t, Options{Names: names("a.test", "192.0.2.1", "2001:db8::1")})
	})
}

// FuzzParse checks that any file is read, and that its names can be looked up.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"192.0.2.1 a b\n::1 a # c", "fe80::1%eth0 a", "0.0.0.0 0.0.0.0\r\n", "\x00\xff a\n1.1.1.1", "::ffff:1.2.3.4 A.b."} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, bad, first := parse(text)
		if (bad == 0) != (first == 0) {
			t.Errorf("got %d bad lines, the first %d", bad, first)
		}
		for name, ips := range got {
			if host, ok := normal(name); !ok || host != name || len(ips) == 0 || len(ips) > maxAddrs {
				t.Errorf("got %q at %v", name, ips)
			}
			for _, ip := range ips {
				if !ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
					t.Errorf("%s: got %v", name, ip)
				}
			}
		}
	})
}

// TestManyAddresses checks the bound on those of one name.
func TestManyAddresses(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "192.0.2.%d a.test\n", i)
	}
	if got, _, _ := parse([]byte(text.String())); len(got["a.test"]) != maxAddrs {
		t.Errorf("got %d addresses, want %d", len(got["a.test"]), maxAddrs)
	}
}

// Configurations of one process share what they read of a file.
func TestShared(t *testing.T) {
	path := write(t, "192.0.2.1 a.example\n")
	env := coretest.Env(t)
	var files []*follow.Value[table]
	for range 2 {
		r, err := New(env, Options{File: path})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, r.(*Resolver).file)
	}
	if files[0] != files[1] {
		t.Error("a second resolver of the process read the file again")
	}
}
