package dial_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// openNet opens an association of n, which is closed at the end of the test.
func openNet(t testing.TB, n dial.Net) (core.PacketConn, *core.Flow) {
	t.Helper()
	if err := n.CheckPackets(); err != nil {
		t.Errorf("check: got %v, want nil", err)
	}
	flow := new(core.Flow)
	c, err := n.OpenPackets(t.Context(), &core.Request{Flow: flow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, flow
}

// packets have one text for each address.
func packets(text string, to ...core.Addr) (ps []core.Packet) {
	for _, a := range to {
		ps = append(ps, core.Packet{Addr: a, Data: []byte(text)})
	}
	return ps
}

// watch is a core.Control that refuses some addresses and notes all questions.
type watch struct {
	denied []netip.AddrPort

	mu    sync.Mutex
	asked []netip.AddrPort // guarded by mu
}

func (w *watch) control(_ context.Context, network core.Network, to netip.AddrPort) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, to)
	if network != "udp" || slices.Contains(w.denied, to) {
		return core.ErrDenied
	}
	return nil
}

// questions returns those since the last call.
func (w *watch) questions() []netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// Control is asked whenever the address is another one. What it refuses is
// dropped, each time; what stands around it is sent.
func TestNetPacketsControl(t *testing.T) {
	a, b := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	atA, atB := coretest.Gather(t, a), coretest.Gather(t, b)
	refused := coretest.ListenUDP(t, "127.0.0.1:0")
	atRefused := coretest.Gather(t, refused)
	w := &watch{denied: []netip.AddrPort{refused.Addr()}}
	c, flow := openNet(t, dial.Net{Control: w.control})
	toA, toB, toRefused := core.AddrFrom(a.Addr()), core.AddrFrom(b.Addr()), core.AddrFrom(refused.Addr())
	for _, tc := range []struct {
		name     string
		to       []core.Addr
		want     int
		asked    []netip.AddrPort
		atA, atB int
	}{
		{"a new address", []core.Addr{toA}, 1, []netip.AddrPort{a.Addr()}, 1, 0},
		{"the same again", []core.Addr{toA, toA}, 2, nil, 2, 0},
		{"one that is refused", []core.Addr{toRefused}, 0, w.denied, 0, 0},
		{"that again", []core.Addr{toRefused}, 0, w.denied, 0, 0},
		{"among others", []core.Addr{toA, toRefused, toB, toRefused, toA}, 3,
			[]netip.AddrPort{refused.Addr(), b.Addr(), refused.Addr(), a.Addr()}, 2, 1},
		{"back", []core.Addr{toB}, 1, []netip.AddrPort{b.Addr()}, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if n, err := c.WritePackets(packets(tc.name, tc.to...)); n != tc.want || err != nil {
				t.Errorf("write: got %d, %v, want %d, nil", n, err, tc.want)
			}
			if got := w.questions(); !slices.Equal(got, tc.asked) {
				t.Errorf("control was asked about %v, want %v", got, tc.asked)
			}
			for range tc.atA {
				coretest.Await(t, "a datagram at a", atA.Got)
			}
			for range tc.atB {
				coretest.Await(t, "a datagram at b", atB.Got)
			}
		})
	}
	if len(atRefused.Got) != 0 || flow.Cause() != nil {
		t.Errorf("got %d datagrams where none may go, cause %v, want none, nil", len(atRefused.Got), flow.Cause())
	}
}

// What can't have a destination is dropped without a question.
func TestNetPacketsNowhere(t *testing.T) {
	target := coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, target)
	w := new(watch)
	c, _ := openNet(t, dial.Net{Control: w.control})
	good := core.AddrFrom(target.Addr())
	for _, tc := range []struct {
		name string
		bad  core.Addr
	}{
		{"no address", core.Addr{}},
		{"port 0", core.NewIPAddr(target.Addr().Addr(), 0)},
		{"port 0 of an unspecified address", core.NewIPAddr(netip.IPv6Unspecified(), 0)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if n, err := c.WritePackets(packets(tc.name, tc.bad, good, tc.bad, good)); n != 2 || err != nil {
				t.Errorf("write: got %d, %v, want 2, nil", n, err)
			}
			for range 2 {
				coretest.Await(t, "a datagram", in.Got)
			}
			for _, at := range w.questions() {
				if at != target.Addr() {
					t.Errorf("control was asked about %v", at)
				}
			}
		})
	}
}

// A name leads to the first of its addresses that may be reached, and to which
// there is a way.
func TestNetPacketsNames(t *testing.T) {
	target := coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, target)
	port := target.Addr().Port()
	w := &watch{denied: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), port)}}
	names := &coretest.Resolver{Names: map[string][]netip.Addr{
		"one.test":    addrs("127.0.0.1"),
		"mapped.test": addrs("::ffff:127.0.0.1"),
		"denied.test": addrs("127.0.0.9", "127.0.0.1"),
		"lost.test":   addrs("fe80::1", "127.0.0.1"), // a link-local address needs a zone
		"never.test":  addrs("127.0.0.9"),
	}}
	c, flow := openNet(t, dial.Net{Control: w.control, Resolver: names})
	for _, name := range []string{"never.test", "one.test", "mapped.test", "denied.test", "lost.test"} {
		to, err := core.NewAddr(name, port)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.WritePackets(packets(name, to)); n != 1 || err != nil {
			t.Errorf("write to %s: got %d, %v, want 1, nil", name, n, err)
		}
		if name == "never.test" {
			continue
		}
		if got := coretest.Await(t, "a datagram for "+name, in.Got); string(got.Data) != name {
			t.Errorf("got %q, want %q", got.Data, name)
		}
	}
	if flow.Cause() != nil {
		t.Errorf("cause: got %v, want nil", flow.Cause())
	}
}

// Whoever knows the address of an association is heard, with its own address, and
// a sink that panics ends the flow.
func TestNetPacketsReceive(t *testing.T) {
	target, stranger := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	in := coretest.Gather(t, target)
	c, flow := openNet(t, dial.Net{})
	got := make(chan core.Packet, 1)
	c.Receive(func(ps []core.Packet) {
		if string(ps[0].Data) == "bad" {
			panic("slice bounds")
		}
		got <- core.Packet{Addr: ps[0].Addr, Data: slices.Clone(ps[0].Data)}
	})
	if _, err := c.WritePackets(packets("question", core.AddrFrom(target.Addr()))); err != nil {
		t.Fatal(err)
	}
	at := coretest.Await(t, "a datagram", in.Got).Peer
	for _, from := range []*netio.UDPSocket{target, stranger} {
		coretest.SendUDP(t, from, netio.Datagram{Peer: at, Data: []byte("answer")})
		if p := coretest.Await(t, "an answer", got); p.Addr != core.AddrFrom(from.Addr()) || string(p.Data) != "answer" {
			t.Errorf("got %q from %v, want an answer from %v", p.Data, p.Addr, from.Addr())
		}
	}
	coretest.SendUDP(t, stranger, netio.Datagram{Peer: at, Data: []byte("bad")})
	coretest.Await(t, "the end of the flow", waitForEnd(flow))
	var panicked *panics.Error
	if !errors.As(flow.Cause(), &panicked) {
		t.Errorf("cause: got %v, want a PanicError", flow.Cause())
	}
}

// ending returns a channel that gets a value when a flow is cut.
func waitForEnd(f *core.Flow) <-chan struct{} {
	ended := make(chan struct{}, 1)
	f.OnCut(func() { ended <- struct{}{} })
	return ended
}

// ends are two sockets of core.Net that know each other's address.
func ends(t testing.TB) (a, b coretest.PacketEnd) {
	probe, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	coretest.Hurry(t, probe)
	open := func() coretest.PacketEnd {
		c, err := dial.Net{}.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)})
		if err != nil {
			t.Fatal(err)
		}
		to := core.AddrFrom(probe.LocalAddr().(*net.UDPAddr).AddrPort())
		if n, err := c.WritePackets([]core.Packet{{Addr: to, Data: []byte("where am I")}}); n != 1 || err != nil {
			t.Fatalf("write: got %d, %v, want 1, nil", n, err)
		}
		_, at, err := probe.ReadFromUDPAddrPort(make([]byte, 16))
		if err != nil {
			t.Fatal(err)
		}
		return coretest.PacketEnd{Conn: c, Addr: core.AddrFrom(at)}
	}
	return open(), open()
}

func TestNetPackets(t *testing.T) { coretest.TestPacketConn(t, ends) }
