package netio

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// A request is refused where it comes back to a pipeline, until the one that carried it has
// ended; others of the same address are not.
func TestLoops(t *testing.T) {
	p := new(core.Process)
	l := LoopsOf(p)
	ln, err := SocketsOf(p).ListenPackets(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	socket, err := OpenUDP()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	a, b := &core.Passed{Pipeline: "a"}, &core.Passed{Pipeline: "b"}
	first := &core.Request{Network: core.UDP, Flow: new(core.Flow)}
	if err := l.Enter(first, a); err != nil || first.Passed != a {
		t.Fatalf("a stranger: got %v, %v, want a", first.Passed, err)
	}
	if l.Sends(first, socket, netip.MustParseAddrPort("192.0.2.1:9")) {
		t.Error("another machine: got a loop")
	}
	if !l.Sends(first, socket, ln.Addr()) {
		t.Fatal("its own listener: got none")
	}
	port, err := socket.Port()
	if err != nil || port == 0 {
		t.Fatalf("port: got %d, %v", port, err)
	}
	next := func() *core.Request {
		return &core.Request{Network: core.UDP, Flow: new(core.Flow), Client: core.Client{
			Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), Network: core.UDP}}
	}
	second := next()
	if err := l.Enter(second, b); err != nil || !second.Passed.Has("a") || !second.Passed.Has("b") {
		t.Errorf("another pipeline: got %v, %v, want both", second.Passed, err)
	}
	if err := l.Enter(next(), a); !errors.Is(err, core.ErrDenied) {
		t.Errorf("the same pipeline: got %v, want core.ErrDenied", err)
	}
	other := next()
	other.Client.Addr = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)
	if err := l.Enter(other, a); err != nil {
		t.Errorf("the same port of another machine: got %v", err)
	}
	control := next()
	control.Client.Network = core.TCP // the control connection of an association
	if err := l.Enter(control, a); err != nil {
		t.Errorf("the same port of TCP: got %v", err)
	}
	first.Flow.End()
	if err := l.Enter(next(), a); err != nil || l.count.Load() != 0 {
		t.Errorf("after the end: got %v, and %d sockets", err, l.count.Load())
	}
}
