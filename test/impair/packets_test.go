package impair

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// peer is a UDP socket at one end of a relay.
type peer struct {
	*net.UDPConn
	other netip.AddrPort // destination; if invalid, the source of the first datagram
}

// newPeer opens a socket on addr, "ip:port", until the test ends.
func newPeer(t *testing.T, addr string) *peer {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	grow(c)
	deadline(t, c, patience)
	return &peer{UDPConn: c}
}

// throughPackets starts a relay, its target and a client that has not sent any datagram.
func throughPackets(t *testing.T, o PacketOptions) (r *PacketRelay, client, target *peer) {
	t.Helper()
	target = newPeer(t, "127.0.0.1:0")
	r = NewPackets(t, target.LocalAddr().String(), o)
	return r, newClient(t, r), target
}

func newClient(t *testing.T, r *PacketRelay) *peer {
	t.Helper()
	client := newPeer(t, "127.0.0.1:0")
	client.other = netip.MustParseAddrPort(r.Addr())
	return client
}

// hello sends a client's first datagram to the target. It returns the target's socket as the peer
// of that client.
func hello(t *testing.T, client, target *peer) *peer {
	t.Helper()
	target = &peer{UDPConn: target.UDPConn}
	send(t, client, "hello")
	receive(t, target, "hello")
	return target
}

func send(t *testing.T, p *peer, datagrams ...string) {
	t.Helper()
	for _, d := range datagrams {
		if _, err := p.WriteToUDPAddrPort([]byte(d), p.other); err != nil {
			t.Fatal(err)
		}
	}
}

// next returns the next datagram and checks its source.
func next(t *testing.T, p *peer) string {
	t.Helper()
	b := make([]byte, packetRoom)
	n, from, err := p.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	if !p.other.IsValid() {
		p.other = from
	}
	if from != p.other {
		t.Errorf("got a datagram from %v, want %v", from, p.other)
	}
	return string(b[:n])
}

// receive checks that the next datagrams are want.
func receive(t *testing.T, p *peer, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := next(t, p); got != w {
			t.Fatalf("got %d bytes %.20q, want %d %.20q", len(got), got, len(w), w)
		}
	}
}

// nothing checks that no datagram arrives.
func nothing(t *testing.T, p *peer) {
	t.Helper()
	deadline(t, p, quiet)
	if n, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d, %v, want nothing", n, err)
	}
	deadline(t, p, patience)
}

// Without disturbance every datagram arrives unchanged, in order, and at its peer.
func TestPacketsUndisturbed(t *testing.T) {
	r, client, target := throughPackets(t, PacketOptions{Up: PacketDirection{Record: true}})
	const clients, burst = 3, 20
	ports := map[netip.AddrPort]bool{}
	for i := range clients {
		if i > 0 {
			client = newClient(t, r)
		}
		target = hello(t, client, target)
		ports[target.other] = true
		for _, way := range []struct{ from, to *peer }{{client, target}, {target, client}} {
			for _, size := range []int{0, 1, 1400, 65_507} {
				want := string(pattern(size))
				send(t, way.from, want)
				receive(t, way.to, want)
			}
			var want []string
			for n := range burst {
				want = append(want, fmt.Sprint("client ", i, " datagram ", n))
			}
			send(t, way.from, want...)
			receive(t, way.to, want...)
		}
	}
	if len(ports) != clients || r.Clients() != clients {
		t.Errorf("got %d ports and %d clients, want %d", len(ports), r.Clients(), clients)
	}
	const ups, downs = clients * (1 + 4 + burst), clients * (4 + burst)
	checkCounts(t, r, Counts{Came: ups, Out: ups}, Counts{Came: downs, Out: downs})
	if up, down := r.Recorded(); len(up) != ups || len(down) != 0 {
		t.Errorf("recorded: got %d and %d, want %d and none", len(up), len(down), ups)
	}
}

func checkCounts(t *testing.T, r *PacketRelay, wantUp, wantDown Counts) {
	t.Helper()
	if up, down := r.Counts(); up != wantUp || down != wantDown {
		t.Errorf("got %+v and %+v, want %+v and %+v", up, down, wantUp, wantDown)
	}
}

// Clients in concurrent use are disturbed separately.
func TestPacketsClientsApart(t *testing.T) {
	swap := PacketDirection{Reorder: 1, Hold: time.Hour}
	r, a, target := throughPackets(t, PacketOptions{Down: swap, Seed: 1})
	b := newClient(t, r)
	toA, toB := hello(t, a, target), hello(t, b, target)
	for i := range 10 {
		send(t, toA, fmt.Sprint("a", i))
		send(t, toB, fmt.Sprint("b", i))
	}
	for i := 0; i < 10; i += 2 {
		receive(t, a, fmt.Sprint("a", i+1), fmt.Sprint("a", i))
		receive(t, b, fmt.Sprint("b", i+1), fmt.Sprint("b", i))
	}
}

// Each disturbance affects only the direction that specifies it.
func TestPacketsDirections(t *testing.T) {
	data := string(pattern(1000))
	for _, tc := range []struct {
		name string
		d    PacketDirection
		run  func(t *testing.T, from, to *peer)
		want Counts
	}{
		{"loss", PacketDirection{Loss: 1}, func(t *testing.T, from, to *peer) {
			send(t, from, data)
		}, Counts{Came: 1, Lost: 1}},
		{"duplicate", PacketDirection{Duplicate: 1}, func(t *testing.T, from, to *peer) {
			send(t, from, data)
			receive(t, to, data, data)
		}, Counts{Came: 1, Out: 2, Duplicated: 1}},
		{"reorder", PacketDirection{Reorder: 1, Hold: time.Hour}, func(t *testing.T, from, to *peer) {
			send(t, from, "first", "second")
			receive(t, to, "second", "first")
		}, Counts{Came: 2, Out: 2, Held: 1}},
		{"reorder of the last", PacketDirection{Reorder: 1}, func(t *testing.T, from, to *peer) {
			send(t, from, data)
			receive(t, to, data)
		}, Counts{Came: 1, Out: 1, Held: 1}},
		{"corrupt", PacketDirection{Corrupt: 1}, func(t *testing.T, from, to *peer) {
			send(t, from, data)
			if n := differentBits(next(t, to), data); n != 1 {
				t.Errorf("got %d bits flipped, want 1", n)
			}
		}, Counts{Came: 1, Out: 1, Corrupted: 1}},
		{"delay", PacketDirection{Delay: quiet}, func(t *testing.T, from, to *peer) {
			start := time.Now()
			send(t, from, data)
			receive(t, to, data)
			if took := time.Since(start); took < quiet {
				t.Errorf("got it after %v, want %v", took, quiet)
			}
		}, Counts{Came: 1, Out: 1}},
	} {
		t.Run("up/"+tc.name, func(t *testing.T) {
			r, client, target := throughPackets(t, PacketOptions{Up: tc.d, Seed: 1})
			tc.run(t, client, target)
			settle(t, target, func() bool { up, _ := r.Counts(); return up.Came == tc.want.Came })
			checkCounts(t, r, tc.want, Counts{})
		})
		t.Run("down/"+tc.name, func(t *testing.T) {
			r, client, target := throughPackets(t, PacketOptions{Down: tc.d, Seed: 1})
			tc.run(t, hello(t, client, target), client)
			settle(t, client, func() bool { _, down := r.Counts(); return down.Came == tc.want.Came })
			checkCounts(t, r, Counts{Came: 1, Out: 1}, tc.want)
		})
	}
}

// settle checks that no datagram arrives until done.
func settle(t *testing.T, p *peer, done func() bool) {
	t.Helper()
	for start := time.Now(); ; {
		nothing(t, p)
		if done() || time.Since(start) > patience {
			return
		}
	}
}

func differentBits(a, b string) (n int) {
	for i := range min(len(a), len(b)) {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}
