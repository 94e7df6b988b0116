package socks

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestRoutes adds associations, each as NAME/USER/CLIENT or with the port that it named, and
// sends datagrams; "->" is followed by the association that must get one.
func TestRoutes(t *testing.T) {
	for _, tc := range []struct{ name, steps string }{
		{"the first port is fixed", "+a/x/192.0.2.1:0 192.0.2.1:1->a 192.0.2.1:2->- 192.0.2.1:1->a"},
		{"another address", "+a/x/192.0.2.1:0 192.0.2.2:1->-"},
		{"what is not valid fixes nothing", "+a/x/192.0.2.1:0 !192.0.2.1:1->- 192.0.2.1:2->a !192.0.2.1:2->a"},
		{"two of one address, the oldest first", "+a/x/192.0.2.1:0 +b/x/192.0.2.1:0 192.0.2.1:1->a 192.0.2.1:2->b 192.0.2.1:1->a 192.0.2.1:3->-"},
		{"a named port before one that waits", "+a/x/192.0.2.1:0 +b/x/192.0.2.1:5 192.0.2.1:5->b 192.0.2.1:1->a"},
		{"the end of one frees its port", "+a/x/192.0.2.1:0 192.0.2.1:1->a +b/x/192.0.2.1:0 192.0.2.1:1->a -a 192.0.2.1:1->b"},
		{"the end of one that waits", "+a/x/192.0.2.1:0 +b/x/192.0.2.1:0 -a -a 192.0.2.1:1->b"},
		{"another user while one waits", "+a/x/192.0.2.1:0 ?b/y/192.0.2.1:0 192.0.2.1:1->a +b/y/192.0.2.1:0 192.0.2.1:2->b"},
		{"another user's port", "+a/x/192.0.2.1:5 ?b/y/192.0.2.1:5 192.0.2.1:5->a"},
		{"a port again", "+a/x/192.0.2.1:5 *b/x/192.0.2.1:5 192.0.2.1:5->b -a 192.0.2.1:5->b -b 192.0.2.1:5->-"},
		{"a zone", "+a/x/[fe80::1]:0 [fe80::1%2]:1->a [fe80::2%2]:1->-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoutes()
			all := map[string]*associate{"-": nil}
			for _, step := range strings.Fields(tc.steps) {
				switch kind, rest := step[0], step[1:]; kind {
				case '+', '?', '*': // added, refused, and added in place of another
					parts := strings.Split(rest, "/")
					at := netip.MustParseAddrPort(parts[2])
					a := &associate{user: parts[1], client: at.Addr(), port: at.Port()}
					cut, err := r.add(a)
					if refused := kind == '?'; refused != errors.Is(err, core.ErrCrowded) || (kind == '*') != (cut != nil) {
						t.Errorf("%s: got %v, %v", step, cut, err)
					}
					all[parts[0]] = a
				case '-':
					r.remove(all[rest])
				default:
					from, want, _ := strings.Cut(strings.TrimPrefix(step, "!"), "->")
					if got := r.find(nil, netip.MustParseAddrPort(from), kind != '!'); got != all[want] {
						t.Errorf("%s: got %+v, want %+v", step, got, all[want])
					}
				}
			}
			for _, a := range all {
				if a != nil {
					r.remove(a)
				}
			}
			if len(r.pinned) != 0 || len(r.waiting) != 0 {
				t.Errorf("got %v and %v after the end, want nothing", r.pinned, r.waiting)
			}
		})
	}
}

func TestSharedOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"with ports":  func(o *Options) { _ = o.UDPPorts.UnmarshalText([]byte("2000-2100")) },
		"without UDP": func(o *Options) { o.Mode = "tcp" },
	} {
		o := options(t, "127.0.0.1:1080")
		o.UDPShared = true
		change(&o)
		_, err := New(coretest.Env(t), o)
		if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != "udp_shared" {
			t.Errorf("%s: got %v, want a mistake in udp_shared", name, err)
		}
	}
}
