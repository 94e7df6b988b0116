package option_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

func listenOn(t testing.TB, text string) (l option.Listen) {
	t.Helper()
	if err := l.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return l
}

// A name is kept as it is; of localhost, and of nothing else, the addresses are known.
func TestListenNames(t *testing.T) {
	for _, tc := range []struct {
		text, name string
		known      []string
		loopback   bool
	}{
		{"localhost:1080", "localhost", []string{"127.0.0.1:1080", "[::1]:1080"}, true},
		{"LOCALHOST.:1080", "LOCALHOST.", []string{"127.0.0.1:1080", "[::1]:1080"}, true},
		{"a.localhost:1", "a.localhost", []string{"127.0.0.1:1", "[::1]:1"}, true},
		{"localhost.example:1", "localhost.example", nil, false},
		{"proxy:8388", "proxy", nil, false},
		{"a1.example.:8388", "a1.example.", nil, false},
		{"127.0.0.9:1", "", []string{"127.0.0.9:1"}, true},
		{"192.0.2.1:1", "", []string{"192.0.2.1:1"}, false},
		{":1", "", []string{"[::]:1"}, false},
	} {
		t.Run(tc.text, func(t *testing.T) {
			l := listenOn(t, tc.text)
			var known []netip.AddrPort
			for _, k := range tc.known {
				known = append(known, netip.MustParseAddrPort(k))
			}
			if l.Name() != tc.name || !slices.Equal(l.Known(), known) || l.IsLoopback() != tc.loopback || l.String() != tc.text || !l.IsValid() {
				t.Errorf("got name %q, known %v, loopback %t, %q, valid %t, want %q, %v, %t, %q, true",
					l.Name(), l.Known(), l.IsLoopback(), l, l.IsValid(), tc.name, known, tc.loopback, tc.text)
			}
			if at := l.AddrPort(); at.IsValid() != (tc.name == "") {
				t.Errorf("AddrPort: got %v", at)
			}
		})
	}
	if l := (option.Listen{}); l.Known() != nil || l.IsLoopback() {
		t.Errorf("zero: got known %v, loopback %t, want none, false", l.Known(), l.IsLoopback())
	}
}

func TestListenNamesConflict(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"localhost:80", "127.0.0.1:80", true},
		{"localhost:80", "[::1]:80", true},
		{"localhost:80", "127.0.0.2:80", false},
		{"localhost:80", "localhost:81", false},
		{"localhost:80", "0.0.0.0:80", true},
		{"a.example:80", "A.example:80", true},
		{"a.example:80", "b.example:80", false}, // not known before they are looked up
		{"a.example:80", "192.0.2.1:80", false},
		{"a.example:80", ":80", true},
	} {
		t.Run(tc.a+" "+tc.b, func(t *testing.T) {
			a, b := listenOn(t, tc.a), listenOn(t, tc.b)
			if a.Conflicts(b) != tc.want || b.Conflicts(a) != tc.want {
				t.Errorf("got %t and %t, want %t", a.Conflicts(b), b.Conflicts(a), tc.want)
			}
		})
	}
}

// The description has each known address, and each name that is looked up, under the key of
// its element; ListenAt reads it back.
func TestListenListDescribe(t *testing.T) {
	list := option.ListenList{listenOn(t, "192.0.2.1:1"), listenOn(t, "localhost:2"), listenOn(t, "proxy.example:3"), {}}
	name, err := core.NewAddr("proxy.example", 3)
	if err != nil {
		t.Fatal(err)
	}
	want := []core.Listener{
		{Key: "listen.0", Addr: netip.MustParseAddrPort("192.0.2.1:1"), Networks: core.OverTCP},
		{Key: "listen.1", Addr: netip.MustParseAddrPort("127.0.0.1:2"), Networks: core.OverTCP},
		{Key: "listen.1", Addr: netip.MustParseAddrPort("[::1]:2"), Networks: core.OverTCP},
		{Key: "listen.2", Name: name, Networks: core.OverTCP},
	}
	got := list.Describe("listen", core.OverTCP)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if at := option.ListenAt(got[3]); at != list[2] {
		t.Errorf("ListenAt: got %v, want %v", at, list[2])
	}
}
