package socks5

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// world is an association over fakes: the test is the server.
type world struct {
	wire  *coretest.Dialer
	relay coretest.PacketEnd // the far end of the datagrams
	flow  *core.Flow
	conn  core.PacketConn
}

// associate opens an association with options over fakes.
func associate(t testing.TB, server string, o Options) *world {
	t.Helper()
	near, far := coretest.PacketPipe()
	w := &world{wire: coretest.NewDialer(), relay: far, flow: new(core.Flow)}
	w.wire.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return near.Conn, nil }
	d := over(t, newOutbound(t, server, o), w.wire)
	var err error
	if w.conn, err = d.OpenPackets(t.Context(), &core.Request{ID: 7, User: "alice", Network: core.UDP, Flow: w.flow}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close(); near.Conn.Close(); far.Conn.Close() })
	return w
}

// accept reads the request of the association at the server.
func (w *world) accept(t testing.TB) core.Stream {
	t.Helper()
	control := w.wire.Accept(t)
	coretest.Read(t, control, []byte("\x05\x01\x00"))
	coretest.Write(t, control, []byte("\x05\x00"))
	coretest.Read(t, control, []byte("\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"))
	return control
}

// reply tells the address of the relay.
func (w *world) reply(t testing.TB, control core.Stream, at core.Addr) {
	t.Helper()
	coretest.Write(t, control, socksaddr.Append([]byte("\x05\x00\x00"), at))
}

// gather queues copies of what a connection receives.
func gather(c core.PacketConn) chan core.Packet {
	got := make(chan core.Packet, 256)
	c.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			got <- core.Packet{Addr: p.Addr, Data: slices.Clone(p.Data)}
		}
	})
	return got
}

// cut returns a channel that gets the cause when the flow is cut.
func cut(f *core.Flow) <-chan error {
	causes := make(chan error, 1)
	f.OnCut(func() { causes <- f.Cause() })
	return causes
}

func dropped(f *core.Flow, reason core.DropReason) (n int) {
	for _, d := range f.TakeDropped() {
		if d.Reason == reason && !d.AtInbound {
			n += d.Count
		}
	}
	return n
}

// Datagrams that come before the reply wait for it, in order and within the bound. Those
// from other sources than the relay never arrive.
func TestAssociation(t *testing.T) {
	for _, tc := range []struct{ name, server, replied string }{
		{"its address", "198.51.100.1:1080", "192.0.2.2:1002"},
		{"no address", "192.0.2.2:1080", "0.0.0.0:1002"},
		{"no IPv6 address", "192.0.2.2:1080", "[::]:1002"},
		{"its own loopback address", "192.0.2.2:1080", "127.0.0.1:1002"},
		{"an address behind its NAT", "192.0.2.2:1080", "10.0.0.5:1002"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := associate(t, tc.server, Options{AssociateTimeout: option.Duration(time.Minute), AssociateQueue: 3 * (waitingOverhead + 5)})
			got, at := gather(w.conn), gather(w.relay.Conn)
			dns, named := coretest.Addr(t, "192.0.2.53:53"), coretest.Addr(t, "example.com:443")
			control := w.accept(t)
			if n, err := w.conn.WritePackets([]core.Packet{{Addr: dns, Data: []byte("one")}, {Addr: named, Data: []byte("two")}}); n != 2 || err != nil {
				t.Errorf("before the reply: got %d, %v, want 2, nil", n, err)
			}
			if n, err := w.conn.WritePackets([]core.Packet{{Addr: dns, Data: []byte("three")}, {Addr: dns, Data: []byte("four")}}); n != 1 || err != nil {
				t.Errorf("over the bound: got %d, %v, want 1, nil", n, err)
			}
			if n := dropped(w.flow, core.DropWaiting); n != 1 {
				t.Errorf("got %d dropped as waiting, want 1", n)
			}
			w.reply(t, control, coretest.Addr(t, tc.replied))
			for _, want := range []string{
				"\x00\x00\x00\x01\xc0\x00\x02\x35\x00\x35one", "\x00\x00\x00\x03\x0bexample.com\x01\xbbtwo", "\x00\x00\x00\x01\xc0\x00\x02\x35\x00\x35three",
			} {
				if p := coretest.Await(t, "a datagram at the relay", at); string(p.Data) != want {
					t.Errorf("the relay got %q, want %q", p.Data, want)
				}
			}
			from := coretest.Addr(t, "192.0.2.1:1001")
			for _, wire := range []string{"", "\x00\x00\x01\x01\xc0\x00\x02\x35\x00\x35fragment", "\x00\x00\x00\x05x", "\x00\x00\x00\x01\xc0\x00\x02\x35\x00\x35answer"} {
				if _, err := w.relay.Conn.WritePackets([]core.Packet{{Addr: from, Data: []byte(wire)}}); err != nil {
					t.Error(err)
				}
			}
			if p := coretest.Await(t, "an answer", got); p.Addr != dns || string(p.Data) != "answer" {
				t.Errorf("got %q from %v, want the answer from %v", p.Data, p.Addr, dns)
			}
			if n := dropped(w.flow, core.DropAuth); n != 3 {
				t.Errorf("got %d dropped answers, want 3", n)
			}
			asked := w.wire.Requests()
			if len(asked) != 2 || asked[0].Network != core.UDP || asked[1].Network != core.TCP || asked[1].ID != 7 || asked[1].User != "alice" || asked[1].Target.String() != tc.server {
				t.Errorf("the wire was asked for %+v", asked)
			}
			w.conn.Close()
			if b, err := io.ReadAll(control); len(b) > 0 || err != nil {
				t.Errorf("at the end the server got %q, %v, want its end alone", b, err)
			}
			if cause := w.flow.Cause(); cause != nil {
				t.Errorf("a close cut the flow: %v", cause)
			}
		})
	}
}

func TestStrangers(t *testing.T) {
	relay, other := coretest.Addr(t, "192.0.2.2:1002"), coretest.Addr(t, "192.0.2.3:1002")
	name := coretest.Addr(t, "relay.test:1002")
	for _, tc := range []struct {
		relay core.Addr
		from  []string
		want  []bool
	}{
		{relay, []string{relay.String(), other.String(), "192.0.2.2:1003"}, []bool{true, false, false}},
		{name, []string{"192.0.2.2:1003", relay.String(), other.String(), relay.String()}, []bool{false, true, false, true}},
	} {
		a := &association{hop: &hop{Outbound: &Outbound{}}}
		if err := a.begin(tc.relay); err != nil {
			t.Fatal(err)
		}
		for i, from := range tc.from {
			if got := a.fromRelay(coretest.Addr(t, from)); got != tc.want[i] {
				t.Errorf("relay %v, a datagram from %s: got %t, want %t", tc.relay, from, got, tc.want[i])
			}
		}
	}
}

func TestRelayAt(t *testing.T) {
	for _, tc := range []struct{ bound, server, want string }{
		{"192.0.2.7:5", "192.0.2.1:1080", "192.0.2.7:5"},
		{"0.0.0.0:5", "proxy.test:1080", "proxy.test:5"},
		{"[::]:5", "[2001:db8::1]:1080", "[2001:db8::1]:5"},
		{"127.0.0.1:5", "127.0.0.1:1080", "127.0.0.1:5"},
		{"127.0.0.2:5", "127.0.0.1:1080", "127.0.0.2:5"},
		{"127.0.0.1:5", "proxy.test:1080", "proxy.test:5"},
		{"[::1]:5", "192.0.2.1:1080", "192.0.2.1:5"},
		{"10.0.0.1:5", "192.0.2.1:1080", "192.0.2.1:5"},
		{"10.0.0.1:5", "10.0.0.2:1080", "10.0.0.1:5"},
		{"10.0.0.1:5", "127.0.0.1:1080", "10.0.0.1:5"},
		{"10.0.0.1:5", "proxy.test:1080", "10.0.0.1:5"},
		{"[fe80::1]:5", "[2001:db8::1]:1080", "[2001:db8::1]:5"},
		{"relay.test:5", "192.0.2.1:1080", "relay.test:5"},
	} {
		if got := relayAt(coretest.Addr(t, tc.bound), coretest.Addr(t, tc.server)); got.String() != tc.want {
			t.Errorf("%s by %s: got %v, want %s", tc.bound, tc.server, got, tc.want)
		}
	}
}

// The end of the server's connection ends the association.
func TestControlEnds(t *testing.T) {
	w := associate(t, "192.0.2.2:1080", Options{})
	control := w.accept(t)
	w.reply(t, control, w.relay.Addr)
	coretest.Write(t, control, []byte("more than it may send"))
	control.Close()
	if err := coretest.Await(t, "the end of the flow", cut(w.flow)); !errors.Is(err, io.EOF) || core.IsUnopened(err) {
		t.Errorf("got %v, want the server's end", err)
	}
}

func TestAssociationRefused(t *testing.T) {
	for _, tc := range []struct {
		reply, text string
		is          error
	}{
		{"\x05\x07", `reply 07: the server has no UDP ASSOCIATE; set mode = "tcp"`, core.ErrNoPackets},
		{"\x05\x01\x00\x01", "reply 01: general failure of the server", nil},
		{"\x05\x00\x00\x01\xc0\x00\x02\x01\x00\x00", "address in the reply: malformed: port 0", core.ErrMalformed},
	} {
		w := associate(t, "192.0.2.2:1080", Options{})
		control := w.accept(t)
		if n, err := w.conn.WritePackets([]core.Packet{{Addr: coretest.Target, Data: []byte("x")}}); n != 1 || err != nil {
			t.Errorf("before the reply: got %d, %v", n, err)
		}
		coretest.Write(t, control, []byte(tc.reply))
		if err := coretest.Await(t, "the end of the flow", cut(w.flow)); !strings.Contains(err.Error(), tc.text) || !core.IsUnopened(err) || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("got %v, want %s", err, tc.text)
		}
		if n := dropped(w.flow, core.DropWaiting); n != 1 {
			t.Errorf("got %d dropped as waiting, want 1", n)
		}
	}
}

// A server that says nothing is given up; opening waits for nothing.
func TestAssociationTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := associate(t, "192.0.2.2:1080", Options{AssociateTimeout: option.Duration(7 * time.Second)})
		if took := time.Since(began); took != 0 {
			t.Errorf("opening took %s, want nothing", took)
		}
		<-cut(w.flow)
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("given up after %s, want 7s", took)
		}
		if err := w.flow.Cause(); core.ReasonOf(err) != "timeout" || !strings.Contains(err.Error(), "no answer within 7s") {
			t.Errorf("got %v, want a timeout", err)
		}
		w.conn.Close()
		synctest.Wait()
	})
}

// A close while the server is asked ends the asking.
func TestCloseWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := associate(t, "192.0.2.2:1080", Options{})
		control := w.accept(t)
		w.conn.Close()
		w.conn.Close()
		synctest.Wait()
		if _, err := io.ReadAll(control); err != nil {
			t.Errorf("the server's end: got %v", err)
		}
		if n, err := w.conn.WritePackets([]core.Packet{{Addr: coretest.Target}}); n != 0 || err == nil {
			t.Errorf("after the close: got %d, %v, want an error", n, err)
		}
		if err := w.flow.Cause(); err != nil {
			t.Errorf("a close cut the flow: %v", err)
		}
	})
}

// far is the relay as a PacketConn: its datagrams have headers.
type far struct{ core.PacketConn }

func (f far) WritePackets(ps []core.Packet) (int, error) {
	sent := 0
	for _, p := range ps {
		wire, err := socksaddr.Datagram{}.AppendPacket(nil, p.Data, coretest.Target)
		if err != nil {
			return sent, err
		}
		n, err := f.PacketConn.WritePackets([]core.Packet{{Addr: p.Addr, Data: wire}})
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func (f far) Receive(sink core.PacketSink) {
	f.PacketConn.Receive(func(ps []core.Packet) {
		for i := range ps {
			_, n, _ := socksaddr.Decode(ps[i].Data[socksaddr.DatagramHead:])
			ps[i].Data = ps[i].Data[socksaddr.DatagramHead+n:]
		}
		sink(ps)
	})
}

// TestPacketConn is the kit, for datagrams once the association is open.
func TestPacketConn(t *testing.T) {
	coretest.TestPacketConn(t, func(t testing.TB) (a, b coretest.PacketEnd) {
		near, relay := coretest.PacketPipe()
		open := &association{hop: &hop{Outbound: &Outbound{}}, wire: near.Conn, flow: new(core.Flow), cancel: func() {}}
		if err := open.begin(relay.Addr); err != nil {
			t.Fatal(err)
		}
		// The far end reaches the near one at its own address, and shows the target's.
		return coretest.PacketEnd{Conn: open, Addr: near.Addr}, coretest.PacketEnd{Conn: far{relay.Conn}, Addr: coretest.Target}
	})
}
