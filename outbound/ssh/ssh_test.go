package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/test/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options returns the options for a server, with the defaults.
func options(t testing.TB, s *peer.SSHD) Options {
	t.Helper()
	o := Options{
		Login: Login{User: s.User, KeyFile: s.Key}, KnownHosts: s.KnownHosts, Connections: 1,
		KeepAlive: option.Timeout(15 * time.Second), IdleTimeout: option.Off, ConnectTimeout: option.Duration(coretest.Patience),
	}
	if err := o.Server.UnmarshalText([]byte(s.Addr())); err != nil {
		t.Fatal(err)
	}
	return o
}

// newOutbound returns an outbound that is shut down at the end of the test.
func newOutbound(t testing.TB, o Options) *Outbound {
	t.Helper()
	out, err := New(coretest.Env(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.(*Outbound).Shutdown(context.Background()) })
	return out.(*Outbound)
}

// over returns the dialer of an outbound over wire.
func over(t testing.TB, o *Outbound, wire core.Dialer) core.Dialer {
	t.Helper()
	d, err := o.Over(wire)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// request returns a request for a target.
func request(target string) *core.Request {
	a, err := core.ParseAddr(target)
	if err != nil {
		panic(err)
	}
	return &core.Request{Network: core.TCP, Target: a, Flow: new(core.Flow)}
}

func TestConformance(t *testing.T) {
	s := peer.SSHServer(t)
	coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return newOutbound(t, options(t, s)) })
}

// pair returns a stream through a server and its target's end.
func pair(t testing.TB, d core.Dialer) (core.Stream, *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := d.DialStream(t.Context(), request(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	far, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return s, far
}

func TestStream(t *testing.T) {
	s := peer.SSHServer(t)
	out := newOutbound(t, options(t, s))
	d := over(t, out, dial.Net{})
	coretest.TestStream(t, func(t testing.TB) (a, b core.Stream) { return pair(t, d) })
}

// What the server says of a target has the error of the target.
func TestRefused(t *testing.T) {
	s := peer.SSHServer(t, "PermitOpen 127.0.0.1:*")
	d := over(t, newOutbound(t, options(t, s)), dial.Net{})
	for _, tc := range []struct{ target, reason, text string }{
		{coretest.FreeAddr(t).String(), "refused", `connect failed: "Connection refused"`},
		{"127.0.0.2:80", "denied", "administratively prohibited"},
	} {
		st, err := d.DialStream(t.Context(), request(tc.target))
		if st != nil || core.ReasonOf(err) != tc.reason || !core.IsAtTarget(err) || core.IsSent(err) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%s: got %v (%s, at the target %t), want %s, true, %q", tc.target, err, core.ReasonOf(err), core.IsAtTarget(err), tc.reason, tc.text)
		}
	}
}

func TestNoPackets(t *testing.T) {
	s := peer.SSHServer(t)
	d := over(t, newOutbound(t, options(t, s)), dial.Net{})
	if _, err := d.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)}); !errors.Is(err, core.ErrNoPackets) {
		t.Errorf("got %v, want core.ErrNoPackets", err)
	}
}
