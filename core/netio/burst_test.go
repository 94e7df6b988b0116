package netio_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// sealer is a core.PacketSealer that puts a mark before a payload. It refuses one
// that begins with "refuse", and is longer than it said for one with "longer".
type sealer struct{}

const mark = "sealed "

func (sealer) Overhead(core.Addr) int { return len(mark) }

func (sealer) AppendPacket(dst, payload []byte, _ core.Addr) ([]byte, error) {
	if bytes.HasPrefix(payload, []byte("refuse")) {
		return dst, errors.New("refused")
	}
	dst = append(append(dst, mark...), payload...)
	if bytes.HasPrefix(payload, []byte("longer")) {
		dst = append(dst, "and more"...)
	}
	return dst, nil
}

// sealed are payloads, some of which can't be sealed, and what comes of them.
func sealed() (all, want [][]byte) {
	add := func(n int, data []byte, ok bool) {
		for range n {
			all = append(all, data)
			if ok {
				want = append(want, append([]byte(mark), data...))
			}
		}
	}
	add(netio.MaxBurst+3, []byte("one of many"), true)
	add(1, nil, true)
	add(2, []byte("refuse this"), false)
	add(2, []byte("longer than it said"), false)
	add(1, make([]byte, core.MaxDatagram-len(mark)+1), false)
	add(1, coretest.Pattern(core.MaxDatagram-len(mark), 7), true)
	add(3, coretest.Pattern(60_000, 1), true) // each fills a burst
	add(2, []byte("small between large"), true)
	add(3, coretest.Pattern(40_000, 2), true)
	add(100, coretest.Pattern(1400, 3), true)
	return all, want
}

// packetsOf are datagrams to or from an address that does not matter.
func packetsOf(all [][]byte) (ps []core.Packet) {
	for _, data := range all {
		ps = append(ps, core.Packet{Addr: coretest.Target, Data: data})
	}
	return ps
}

// collector is a PacketConn that keeps copies of what is written.
type collector struct {
	coretest.Discard
	got  [][]byte
	to   core.Addr // where all must go
	fail int       // bursts after which it fails, if not 0
	n    int       // bursts
}

func (c *collector) WritePackets(ps []core.Packet) (int, error) {
	if c.n++; c.fail > 0 && c.n > c.fail {
		return 0, io.ErrClosedPipe
	}
	for _, p := range ps {
		if p.Addr != c.to {
			return 0, fmt.Errorf("a datagram to %v, want %v", p.Addr, c.to)
		}
		c.got = append(c.got, slices.Clone(p.Data))
		clear(p.Data) // as it may
	}
	return len(ps), nil
}

// All that can be sealed goes to the server, in order; the rest is left out.
func TestSealPackets(t *testing.T) {
	all, want := sealed()
	c := &collector{to: coretest.Addr(t, "server.test:8388")}
	var f core.Flow
	n, err := netio.SealPackets(&f, c, c.to, sealer{}, packetsOf(all))
	if n != len(want) || err != nil {
		t.Errorf("got %d, %v, want %d, nil", n, err, len(want))
	}
	if !slices.EqualFunc(c.got, want, bytes.Equal) {
		t.Errorf("got %d datagrams that differ from the %d that were sealed", len(c.got), len(want))
	}
	if got, want := f.TakeDropped(), []core.Dropped{{Reason: core.DropSeal, Count: 4}, {Reason: core.DropLong, Count: 1}}; !slices.Equal(got, want) {
		t.Errorf("dropped: got %v, want %v", got, want)
	}
	c = &collector{to: c.to, fail: 1}
	if n, err := netio.SealPackets(&f, c, c.to, sealer{}, packetsOf(all)); n != netio.MaxBurst || err != io.ErrClosedPipe {
		t.Errorf("on a connection that fails: got %d, %v, want %d, %v", n, err, netio.MaxBurst, io.ErrClosedPipe)
	}
}

// To seal a burst costs no allocation.
func TestSealPacketsAllocates(t *testing.T) {
	c, to := new(coretest.Discard), coretest.Addr(t, "server.test:8388")
	var s core.PacketSealer = sealer{}
	var f core.Flow
	ps := packetsOf(slices.Repeat([][]byte{make([]byte, 1200)}, 2*netio.MaxBurst))
	// A garbage collection may empty the pool in the middle.
	if n := testing.AllocsPerRun(200, func() { _, _ = netio.SealPackets(&f, c, to, s, ps) }); n >= 1 && !detecting {
		t.Errorf("got %v allocations a burst, want 0", n)
	}
}

// The same for a client of a socket.
func TestSendSealed(t *testing.T) {
	all, want := sealed()
	s, client := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	client.Grow(4 << 20)
	in := coretest.Gather(t, client)
	var f core.Flow
	n, err := s.SendSealed(&f, client.Addr(), netip.Addr{}, sealer{}, packetsOf(all))
	if n != len(want) || err != nil {
		t.Errorf("got %d, %v, want %d, nil", n, err, len(want))
	}
	for i, data := range want {
		if got := coretest.Await(t, "a datagram", in.Got); !bytes.Equal(got.Data, data) || got.Peer != s.Addr() {
			t.Fatalf("datagram %d: got %d bytes from %v, want %d from %v (or they differ)", i, len(got.Data), got.Peer, len(data), s.Addr())
		}
	}
	if got, want := f.TakeDropped(), []core.Dropped{{Reason: core.DropSeal, AtInbound: true, Count: 4}, {Reason: core.DropLong, AtInbound: true, Count: 1}}; !slices.Equal(got, want) {
		t.Errorf("dropped: got %v, want %v", got, want)
	}
}

// What is no packet is left out, and a burst of nothing else makes no call.
func TestReceivePackets(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	got := make(chan string, 64)
	parse := func(d *netio.Datagram) (core.Packet, bool) {
		body, ok := bytes.CutPrefix(d.Data, []byte(mark))
		return core.Packet{Addr: core.AddrFrom(d.Peer), Data: body}, ok
	}
	err := s.ReceivePackets(func(ps []core.Packet) {
		if len(ps) == 0 {
			t.Error("a call with no packets")
		}
		for _, p := range ps {
			got <- string(p.Data)
		}
	}, func(err error) { t.Errorf("the sink panicked: %v", err) }, parse)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"noise", mark + "one", "noise", "noise", mark, mark + "two", "noise"} {
		coretest.SendUDP(t, peer, netio.Datagram{Peer: s.Addr(), Data: []byte(text)})
	}
	for _, want := range []string{"one", "", "two"} {
		if text := coretest.Await(t, "a packet", got); text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
}
