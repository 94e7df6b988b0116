package pipeline_test

import (
	"context"
	"io"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// The event of a move names both addresses, and none to go on from where the association
// has ended.
func TestMoveIsTold(t *testing.T) {
	s := newStage(t)
	g := s.guest(t)
	s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return g.upstream, nil }
	a := s.HandlePackets(t.Context(), g.request, g, nil)
	next := netip.MustParseAddrPort("198.51.100.1:1")
	if err := a.Move(next); err != nil {
		t.Fatal(err)
	}
	g.request.Flow.Cut(io.EOF)
	last := netip.MustParseAddrPort("203.0.113.1:1")
	if err := a.Move(last); err == nil {
		t.Error("got no error of a move after the end")
	}
	events := s.kinds(t, 1, core.Opened, core.Moved, core.Closed, core.Moved)
	for i, want := range []struct{ at, next netip.AddrPort }{
		{g.request.Client.Addr, netip.AddrPort{}}, {g.request.Client.Addr, next}, {next, netip.AddrPort{}}, {last, netip.AddrPort{}},
	} {
		if e := events[i]; e.Client.Addr != want.at || e.Next != want.next {
			t.Errorf("%s: got %s and next %s, want %s and %s", e.Kind, e.Client.Addr, e.Next, want.at, want.next)
		}
	}
}
