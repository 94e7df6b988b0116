package dial_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

// TestLookUp keeps lookups as steps of flows that are recording.
func TestLookUp(t *testing.T) {
	r := &coretest.Resolver{Names: map[string][]netip.Addr{
		"a.test": addrs("192.0.2.1", "2001:db8::1"), "many.test": addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"),
		"empty.test": {},
	}}
	for _, tc := range []struct {
		name, detail string
		missing      bool
	}{
		{"a.test", "a.test: 192.0.2.1, 2001:db8::1", false},
		{"many.test", "many.test: 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 2 more", false},
		{"empty.test", "empty.test", true},
		{"none.test\x1b", "none.test?", true},
	} {
		quiet, told := new(core.Flow), new(core.Flow)
		told.Record()
		for _, f := range []*core.Flow{nil, quiet, told} {
			ips, err := dial.LookUp(t.Context(), f, "resolver.names", r, tc.name)
			if d, ok := errors.AsType[*net.DNSError](err); tc.missing != (ok && d.IsNotFound) || (len(ips) == 0) != tc.missing {
				t.Errorf("%s: got %v, %v", tc.name, ips, err)
			}
		}
		if len(quiet.Steps()) != 0 || len(told.Steps()) != 1 {
			t.Errorf("%s: got %v, and not recording %v", tc.name, told.Steps(), quiet.Steps())
			continue
		}
		s := told.Steps()[0]
		if s.Kind != core.StepResolve || s.Name != "resolver.names" || s.Detail != tc.detail || (s.Err != nil) != tc.missing || s.Began.IsZero() {
			t.Errorf("%s: got %+v, want %q", tc.name, s, tc.detail)
		}
	}
}

// TestLookUpSteps has the lookups of each kind of Dialer as steps.
func TestLookUpSteps(t *testing.T) {
	names := &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": addrs("127.0.0.1")}}
	next := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return nil, errors.New("dialled") }}
	deny := func(context.Context, core.Network, netip.AddrPort) error { return core.ErrDenied }
	for _, tc := range []struct {
		what string
		d    core.Dialer
		by   string
	}{
		{"a stage", dial.Named("resolver.names", dial.Resolve(names, nil)).Wrap(next), "resolver.names"},
		{"the bare network", dial.Net{Resolver: names, Asks: "resolver.own", Control: deny}, "resolver.own"},
		{"the system's", dial.Net{Control: deny}, "the operating system"},
		{"a hop's server", dial.WithResolver(dial.Net{Control: deny}, "resolver.hop", names), "resolver.hop"},
		{"a later hop's server", dial.WithResolver(next, "resolver.hop", names), "resolver.hop"},
	} {
		f := new(core.Flow)
		f.Record()
		target := "a.test:1"
		if tc.by == "the operating system" {
			target = "localhost:1"
		}
		_, _ = tc.d.DialStream(t.Context(), &core.Request{Network: core.TCP, Target: coretest.Addr(t, target), Flow: f})
		if all := f.Steps(); len(all) != 1 || all[0].Kind != core.StepResolve || all[0].Name != tc.by || all[0].Err != nil {
			t.Errorf("%s: got %+v, want one lookup by %s", tc.what, all, tc.by)
		}
	}
}

// TestLookUpPackets has the lookups of an association as steps.
func TestLookUpPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": addrs("192.0.2.1")}}
		near, far := coretest.PacketPipe()
		f := new(core.Flow)
		f.Record()
		c := dial.ResolvePackets(near.Conn, "resolver.names", names, &core.Request{Network: core.UDP, Flow: f}, nil)
		for _, to := range []string{"a.test:1", "none.test:1", "a.test:2"} {
			_, _ = c.WritePackets([]core.Packet{{Addr: coretest.Addr(t, to), Data: []byte("x")}})
			synctest.Wait()
		}
		if all := f.Steps(); len(all) != 2 || all[0].Detail != "a.test: 192.0.2.1" || all[1].Detail != "none.test" || all[1].Err == nil {
			t.Errorf("got %+v, want one lookup for each name", all)
		}
		c.Close()
		far.Conn.Close()
	})
}
