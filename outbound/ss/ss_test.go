package ss

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ciphers returns a graph of ciphers by name.
func ciphers(all map[core.Ref[core.Cipher]]core.Cipher) coretest.Graph {
	g := coretest.Graph{}
	for ref, c := range all {
		g[ref] = c
	}
	return g
}

// newOutbound returns the outbound of options whose server is server.
func newOutbound(t testing.TB, g coretest.Graph, server string, o Options) core.Outbound {
	t.Helper()
	if err := o.Server.UnmarshalText([]byte(server)); err != nil {
		t.Fatal(err)
	}
	out, err := New(core.Env{Section: core.SectionOutbound, Name: "paris", Graph: g}, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// over lays an outbound over wire.
func over(t testing.TB, o core.Outbound, wire core.Dialer) core.Dialer {
	t.Helper()
	d, err := o.Over(wire)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func addr(t testing.TB, s string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNew(t *testing.T) {
	g := coretest.Graph{
		core.Ref[core.Cipher]("house"):  newCipher(t, "house"),
		core.Ref[core.Transport]("bad"): badTransport{},
	}
	for _, tc := range []struct {
		name string
		opts Options
		key  string
		ok   bool
	}{
		{"good", Options{Cipher: "house"}, "", true},
		{"unknown cipher", Options{Cipher: "none"}, "", false},
		{"unknown transport", Options{Cipher: "house", Transport: []core.Ref[core.Transport]{"none"}}, "", false},
		{"transport that can't be a client", Options{Cipher: "house", Transport: []core.Ref[core.Transport]{"bad"}}, "transport", false},
	} {
		out, err := New(core.Env{Graph: g}, tc.opts)
		if (err == nil) != tc.ok || (out != nil) != tc.ok {
			t.Errorf("%s: got %v, %v, want success: %t", tc.name, out, err, tc.ok)
		}
		if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key {
			t.Errorf("%s: got %v, want the key %q", tc.name, err, tc.key)
		}
	}
}

// badTransport has options for a server only.
type badTransport struct{ core.Transport }

func (badTransport) CheckClient() error { return errors.New("no client options") }

func TestPayloadWait(t *testing.T) {
	const wait = 50 * time.Millisecond
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": newCipher(t, "house")})
	d := over(t, newOutbound(t, g, "192.0.2.1:8388", Options{Cipher: "house", FirstPayloadWait: option.Duration(wait)}), dial.Net{})
	never := over(t, newOutbound(t, g, "192.0.2.1:8388", Options{Cipher: "house"}), dial.Net{})
	for _, port := range []uint16{21, 22, 23, 25, 53, 80, 110, 119, 143, 443, 587, 993, 3306, 5900, 8443} {
		r := &core.Request{Target: addr(t, fmt.Sprintf("example.com:%d", port))}
		want := wait
		if slices.Contains([]uint16{21, 22, 23, 25, 110, 119, 143, 587, 3306, 5900}, port) {
			want = 0
		}
		if got := d.PayloadWait(r); got != want {
			t.Errorf("port %d: got %s, want %s", port, got, want)
		}
		if got := never.PayloadWait(r); got != 0 {
			t.Errorf("port %d, no wait: got %s", port, got)
		}
	}
}
