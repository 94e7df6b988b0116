package direct

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDialer returns the outbound over the first wire of a chain. allow are the
// ranges that a file opens.
func newDialer(t testing.TB, p *core.Process, allow ...string) core.Dialer {
	t.Helper()
	var o Options
	for _, s := range allow {
		var prefix option.Prefix
		if err := prefix.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		o.Allow = append(o.Allow, prefix)
	}
	out, err := New(core.Env{Process: p}, o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := out.Over(dial.Net{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// listen accepts connections on loopback until the test ends, and sends each a
// byte.
func listen(t testing.TB, at string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Skipf("no such address here: %v", err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("x")) // a client that is missing it says so
			conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// reached checks that d reaches what listens.
func reached(t *testing.T, d core.Dialer, r *core.Request) {
	t.Helper()
	s, err := d.DialStream(t.Context(), r)
	if err != nil {
		t.Errorf("%s, %v: got %v, want a connection", r.Target, r.IPs, err)
		return
	}
	defer s.Close()
	if got, err := io.ReadAll(s); string(got) != "x" || err != nil {
		t.Errorf("%s, %v: got %q, %v from the target", r.Target, r.IPs, got, err)
	}
}

// denied checks that d refuses r by policy.
func denied(t *testing.T, d core.Dialer, r *core.Request, text string) {
	t.Helper()
	s, err := d.DialStream(t.Context(), r)
	if s != nil {
		s.Close()
	}
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Logf("%s: no IPv6 here", r.Target)
		return
	}
	if !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s, %v: got %v, want core.ErrDenied with %q", r.Target, r.IPs, err, text)
	}
	if core.IsAtTarget(err) {
		t.Errorf("%s, %v: %v is told as the target's answer, so a group would try another way", r.Target, r.IPs, err)
	}
}

// wireForms returns the targets that a client can name an address by.
func wireForms(t testing.TB, ip netip.Addr) map[string]core.Addr {
	t.Helper()
	forms := map[string]core.Addr{"address": core.NewIPAddr(ip, 80)}
	names := map[string]string{"literal as a name": ip.String()}
	if ip.Is4() {
		mapped := netip.AddrFrom16(ip.As16())
		forms["mapped address"] = core.NewIPAddr(mapped, 80)
		names["mapped literal"] = mapped.String()
		names["mapped literal in hex"] = mapped.StringExpanded()
	} else {
		names["literal in full"] = ip.StringExpanded()
	}
	for form, name := range names {
		b := append([]byte{3, byte(len(name))}, name...)
		a, _, err := socksaddr.Decode(append(b, 0, 80))
		if err != nil {
			t.Fatal(err)
		}
		forms[form] = a
	}
	return forms
}

func TestForbidden(t *testing.T) {
	d := newDialer(t, new(core.Process))
	for _, s := range forbidden {
		ip := netip.MustParseAddr(s)
		for form, target := range wireForms(t, ip) {
			t.Run(s+" as "+form, func(t *testing.T) {
				denied(t, d, &core.Request{Target: target}, "is not a public address")
			})
		}
		named, err := core.ParseAddr("example.com:80")
		if err != nil {
			t.Fatal(err)
		}
		denied(t, d, &core.Request{Target: named, IPs: []netip.Addr{ip}}, "is not a public address")
	}
}

// TestForbiddenName has the operating system find the address.
func TestForbiddenName(t *testing.T) {
	target, err := core.NewAddr("localhost", listen(t, "127.0.0.1:0").Port())
	if err != nil {
		t.Fatal(err)
	}
	denied(t, newDialer(t, new(core.Process)), &core.Request{Target: target}, "is not a public address")
	reached(t, newDialer(t, new(core.Process), "127.0.0.0/8"), &core.Request{Target: target})
}

func TestAllow(t *testing.T) {
	at := listen(t, "127.0.0.1:0")
	r := &core.Request{Target: core.AddrFrom(at)}
	for _, tc := range []struct {
		allow string
		ok    bool
	}{
		{"127.0.0.0/8", true}, {"127.0.0.1", true}, {"0.0.0.0/0", true},
		{"127.0.0.2", false}, {"10.0.0.0/8", false}, {"::/0", false}, {"::1", false},
	} {
		t.Run(tc.allow, func(t *testing.T) {
			d := newDialer(t, new(core.Process), tc.allow)
			if tc.ok {
				reached(t, d, r)
			} else {
				denied(t, d, r, "127.0.0.1 is not a public address")
			}
		})
	}
}

// TestResolved checks that each address of a name is judged by itself.
func TestResolved(t *testing.T) {
	at := listen(t, "127.0.0.1:0")
	d := newDialer(t, new(core.Process), "127.0.0.1")
	target, err := core.NewAddr("example.com", at.Port())
	if err != nil {
		t.Fatal(err)
	}
	ips := func(all ...string) (list []netip.Addr) {
		for _, s := range all {
			list = append(list, netip.MustParseAddr(s))
		}
		return list
	}
	reached(t, d, &core.Request{Target: target, IPs: ips("10.0.0.1", "::1", "169.254.169.254", "127.0.0.1")})
	reached(t, d, &core.Request{Target: target, IPs: ips("127.0.0.1", "10.0.0.1")})
	reached(t, d, &core.Request{Target: target, IPs: ips("::ffff:10.0.0.1", "::ffff:127.0.0.1")})
	denied(t, d, &core.Request{Target: target, IPs: ips("10.0.0.1", "192.168.0.1", "fd00::1")}, "is not a public address")
	denied(t, d, &core.Request{Target: target, IPs: ips("::ffff:127.0.0.2")}, "127.0.0.2 is not a public address")
}

// TestOwnListener checks that no request comes back in, however far the ranges
// are open.
func TestOwnListener(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(at, func(t *testing.T) {
			p := new(core.Process)
			l, err := netio.SocketsOf(p).Listen(t.Context(), netip.MustParseAddrPort(at))
			if err != nil {
				t.Skipf("no such address here: %v", err)
			}
			defer l.Close()
			d := newDialer(t, p, "0.0.0.0/0", "::/0")
			port := l.Addr().Port()
			for form, target := range map[string]core.Addr{
				"address": core.NewIPAddr(netip.MustParseAddr("127.0.0.1"), port),
				"mapped":  core.NewIPAddr(netip.MustParseAddr("::ffff:127.0.0.1"), port),
			} {
				t.Log(form)
				denied(t, d, &core.Request{Target: target}, "is an inbound of this process")
			}
			for _, unspecified := range []string{"0.0.0.0", "::"} {
				denied(t, d, &core.Request{Target: core.NewIPAddr(netip.MustParseAddr(unspecified), port)}, "can't be allowed")
			}
			reached(t, d, &core.Request{Target: core.AddrFrom(listen(t, "127.0.0.1:0"))})
		})
	}
}

// TestErrors checks what is told of a dial that failed by itself.
func TestErrors(t *testing.T) {
	d := newDialer(t, new(core.Process), "127.0.0.0/8")
	free := coretest.FreeAddr(t)
	if s, err := d.DialStream(t.Context(), &core.Request{Target: core.AddrFrom(free)}); s != nil || !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, core.ErrDenied) || !core.IsAtTarget(err) {
		t.Errorf("no listener: got %v, %v, want ECONNREFUSED at the target", s, err)
	}
	if s, err := d.DialStream(t.Context(), &core.Request{Target: core.NewIPAddr(free.Addr(), 0)}); s != nil || !errors.Is(err, core.ErrMalformed) {
		t.Errorf("port 0: got %v, %v, want core.ErrMalformed", s, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := d.DialStream(ctx, &core.Request{Target: core.AddrFrom(free)}); s != nil || !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("cancelled: got %v, %v, want the context's error", s, err)
	}
}

func TestFirstHopOnly(t *testing.T) {
	out, err := New(core.Env{Process: new(core.Process)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := out.Over(coretest.NewDialer()); d != nil || !errors.Is(err, core.ErrFirstHop) {
		t.Errorf("after a hop: got %v, %v, want core.ErrFirstHop", d, err)
	}
}

func TestConformance(t *testing.T) {
	coretest.TestOutbound(t, func(t testing.TB) core.Outbound {
		return newDialer(t, new(core.Process), "127.0.0.0/8").(core.Outbound)
	})
}
