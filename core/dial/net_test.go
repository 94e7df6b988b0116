package dial_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

// targetAt returns a listener on loopback, and a request for it by name.
func targetAt(t testing.TB, name string) (*net.TCPListener, *core.Request) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	target, err := core.NewAddr(name, l.Addr().(*net.TCPAddr).AddrPort().Port())
	if err != nil {
		t.Fatal(err)
	}
	return l, &core.Request{Target: target, Flow: new(core.Flow)}
}

func TestNetAddresses(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, tc := range []struct {
		name   string
		target string
		ips    []netip.Addr
		asked  []string
	}{
		{"address", "127.0.0.1", nil, nil},
		{"name", "name.test", nil, []string{"name.test"}},
		{"name that is resolved", "other.test", []netip.Addr{loopback}, nil},
		{"address that is replaced", "192.0.2.1", []netip.Addr{loopback}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, r := targetAt(t, tc.target)
			r.IPs, r.Payload = tc.ips, []byte("hello")
			names := &coretest.Resolver{Names: map[string][]netip.Addr{"name.test": {loopback}}}
			s, err := dial.Net{Resolver: names}.DialStream(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := names.Asked(); !slices.Equal(got, tc.asked) {
				t.Errorf("asked for %q, want %q", got, tc.asked)
			}
		})
	}
}

func TestNetErrors(t *testing.T) {
	errServer := errors.New("server failure")
	notFound := func(err error) bool {
		var dns *net.DNSError
		return errors.As(err, &dns) && dns.IsNotFound
	}
	is := func(want error) func(error) bool {
		return func(err error) bool { return errors.Is(err, want) }
	}
	for _, tc := range []struct {
		name   string
		target core.Addr
		names  *coretest.Resolver
		want   func(error) bool
	}{
		{"port 0", core.AddrFrom(netip.MustParseAddrPort("127.0.0.1:0")), nil, is(core.ErrMalformed)},
		{"nobody listens", core.AddrFrom(coretest.FreeAddr(t)), nil, is(syscall.ECONNREFUSED)},
		{"unknown name", coretest.Addr(t, "lost.test:80"), &coretest.Resolver{}, notFound},
		{"name without addresses", coretest.Addr(t, "empty.test:80"), &coretest.Resolver{Names: map[string][]netip.Addr{"empty.test": nil}}, notFound},
		{"resolver fails", coretest.Addr(t, "name.test:80"), &coretest.Resolver{Err: errServer}, is(errServer)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := dial.Net{}
			if tc.names != nil {
				n.Resolver = tc.names
			}
			s, err := n.DialStream(t.Context(), &core.Request{Target: tc.target})
			if s != nil || !tc.want(err) {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
}

// Control sees the address that the kernel gets, of each attempt, before
// anything is sent there.
func TestNetControl(t *testing.T) {
	l, r := targetAt(t, "name.test")
	r.Payload = []byte("x")
	port := r.Target.Port()
	names := &coretest.Resolver{Names: map[string][]netip.Addr{"name.test": addrs("127.0.0.2", "127.0.0.1")}}
	var mu sync.Mutex
	var asked []netip.AddrPort
	control := func(_ context.Context, _ core.Network, to netip.AddrPort) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, to)
		if to.Addr() == netip.MustParseAddr("127.0.0.2") {
			return core.ErrDenied
		}
		return nil
	}
	s, err := dial.Net{Resolver: names, Control: control}.DialStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port),
	}
	if !slices.Equal(asked, want) {
		t.Errorf("control was asked about %v, want %v", asked, want)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	coretest.Read(t, far, []byte("x"))

	denied := dial.Net{Control: func(context.Context, core.Network, netip.AddrPort) error { return core.ErrDenied }}
	r.IPs, r.Payload = addrs("127.0.0.1", "::ffff:127.0.0.1"), nil
	if s, err := denied.DialStream(t.Context(), r); s != nil || !errors.Is(err, core.ErrDenied) {
		t.Errorf("all denied: got %v, %v, want nil, core.ErrDenied", s, err)
	}
}

func TestResolve(t *testing.T) {
	ips := addrs("192.0.2.7", "2001:db8::7")
	names := &coretest.Resolver{Names: map[string][]netip.Addr{"name.test": ips}}
	coretest.TestMiddleware(t, func(testing.TB) core.Middleware { return dial.Resolve(names, nil) })
	for _, tc := range []struct {
		name   string
		target string
		ips    []netip.Addr
		want   []netip.Addr
	}{
		{"name", "name.test:80", nil, ips},
		{"address", "192.0.2.1:80", nil, nil},
		{"resolved before", "name.test:80", ips[:1], ips[:1]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			next := coretest.NewDialer()
			r := &core.Request{Target: coretest.Addr(t, tc.target), IPs: tc.ips}
			s, err := dial.Resolve(names, nil).Wrap(next).DialStream(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := next.Requests()[0]
			if got.Target != r.Target || !slices.Equal(got.IPs, tc.want) {
				t.Errorf("passed on: got %v at %v, want the target kept, at %v", got.Target, got.IPs, tc.want)
			}
			if len(r.IPs) != len(tc.ips) {
				t.Errorf("the request was changed: got %v", r.IPs)
			}
		})
	}
	next := coretest.NewDialer()
	var dns *net.DNSError
	s, err := dial.Resolve(names, nil).Wrap(next).DialStream(t.Context(), &core.Request{Target: coretest.Addr(t, "lost.test:80")})
	if s != nil || !errors.As(err, &dns) || len(next.Requests()) != 0 {
		t.Errorf("unknown name: got %v, %v, %d dials, want nil, a *net.DNSError, none", s, err, len(next.Requests()))
	}
}

func TestSystemResolverLocalhost(t *testing.T) {
	want := addrs("127.0.0.1", "::1")
	for _, name := range []string{"localhost", "LocalHost", "localhost.", "a.localhost", "a.b.LOCALHOST."} {
		if got, err := (dial.SystemResolver{}).LookupIP(t.Context(), name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
}

// seal is a transport that puts its mark before what is written.
type seal struct {
	mark string
	err  error
}

func (s seal) Client(_ context.Context, wire core.Stream, server core.Addr) (core.Stream, error) {
	if s.err != nil {
		return nil, s.err
	}
	_, err := io.WriteString(wire, s.mark+"("+server.String()+")")
	return wire, err
}

func (seal) Server(context.Context, core.Stream) (core.Stream, error) {
	return nil, errors.ErrUnsupported
}

// over returns the Dialer for a server over wire.
func over(t *testing.T, wire core.Dialer, transports []core.Transport) core.Dialer {
	t.Helper()
	d, err := dial.ToServer(wire, core.Addr{}, "", nil, transports)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// program is a Carrier.
type program struct {
	seal
	dialer core.Dialer
}

func (p program) Carry(core.Dialer, core.Addr) core.Dialer    { return p.dialer }
func (program) Behind(netip.AddrPort) (netip.AddrPort, error) { return netip.AddrPort{}, nil }
func (program) Carries(core.Network) bool                     { return true }

// TestCarrier dials a program in the place of the server, if nothing stands before it.
func TestCarrier(t *testing.T) {
	p := program{dialer: coretest.NewDialer()}
	if got := over(t, dial.Net{}, []core.Transport{p}); got != p.dialer {
		t.Errorf("got %v, want what the program dials", got)
	}
	if err := over(t, dial.Net{}, []core.Transport{p, seal{mark: "a"}}).CheckPackets(); !errors.Is(err, core.ErrNoPackets) {
		t.Errorf("UDP over a transport over a program: got %v", err)
	}
	for want, build := range map[string]func() (core.Dialer, error){
		"move it to the front": func() (core.Dialer, error) {
			return dial.ToServer(coretest.NewDialer(), core.Addr{}, "", nil, []core.Transport{p})
		},
		"resolver.x would not be asked": func() (core.Dialer, error) {
			return dial.ToServer(dial.Net{}, core.Addr{}, "resolver.x", &coretest.Resolver{}, []core.Transport{p})
		},
	} {
		if _, err := build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestToServer(t *testing.T) {
	wire := coretest.NewDialer()
	if got := over(t, wire, nil); got != core.Dialer(wire) {
		t.Errorf("without transports: got %v, want the wire", got)
	}
	target := coretest.Addr(t, "front.test:443")
	r := &core.Request{Target: target, Payload: []byte("payload")}
	d := over(t, wire, []core.Transport{seal{mark: "a"}, seal{mark: "b"}})
	s, err := d.DialStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	coretest.ReadAll(t, wire.Accept(t), []byte("a(front.test:443)b(front.test:443)payload"))
	if got := wire.Requests()[0]; got.Target != target || len(got.Payload) != 0 {
		t.Errorf("the wire's request: got %v with payload %q, want %v without one", got.Target, got.Payload, target)
	}
	if string(r.Payload) != "payload" {
		t.Errorf("the request was changed: got payload %q", r.Payload)
	}
	if p, err := d.OpenPackets(t.Context(), r); p != nil || !errors.Is(err, core.ErrNoPackets) {
		t.Errorf("packets: got %v, %v, want nil, core.ErrNoPackets", p, err)
	}
}

// TestSentMarks has the dial and the first write fail: only a failed write is marked, since
// some of the client's bytes may have left by then.
func TestSentMarks(t *testing.T) {
	r := &core.Request{Target: coretest.Addr(t, "front.test:443"), Payload: []byte("payload")}
	for _, tc := range []struct {
		name string
		over core.Transport
		sent bool
	}{
		{"handshake", seal{err: io.ErrUnexpectedEOF}, false},
		{"first write", closing{}, true},
	} {
		_, err := over(t, coretest.NewDialer(), []core.Transport{tc.over}).DialStream(t.Context(), r)
		if err == nil || core.IsSent(err) != tc.sent {
			t.Errorf("%s: got %v, marked %t, want %t", tc.name, err, core.IsSent(err), tc.sent)
		}
	}
	refused := &core.Request{Target: core.AddrFrom(coretest.FreeAddr(t)), Payload: []byte("payload")}
	if _, err := (dial.Net{}).DialStream(t.Context(), refused); err == nil || core.IsSent(err) {
		t.Errorf("refused: got %v, want an error that is not marked", err)
	}
}

// closing is a transport whose streams are closed already.
type closing struct{ seal }

func (closing) Client(_ context.Context, s core.Stream, _ core.Addr) (core.Stream, error) {
	s.Close()
	return s, nil
}

func TestToServerFails(t *testing.T) {
	errHello := errors.New("no hello")
	wire := coretest.NewDialer()
	d := over(t, wire, []core.Transport{seal{mark: "a"}, seal{err: errHello}})
	if s, err := d.DialStream(t.Context(), &core.Request{Target: coretest.Addr(t, "front.test:443")}); s != nil || err != errHello {
		t.Errorf("got %v, %v, want nil, %v", s, err, errHello)
	}
	if _, err := io.ReadAll(wire.Accept(t)); err != nil { // the wire is closed
		t.Errorf("the wire's far end: got %v, want its end", err)
	}
}
