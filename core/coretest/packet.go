package coretest

import (
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// TestPacketConn checks that a packet connection satisfies the contract of
// core.PacketConn. makePair returns two connected ends that lose no datagram while at most
// a few hundred kilobytes are in flight; the kit closes them.
func TestPacketConn(t *testing.T, makePair func(t testing.TB) (a, b PacketEnd)) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, a, b *packetPeer)
	}{
		{"sizes", packetSizes},
		{"batch", packetBatch},
		{"mixed sizes in a batch", packetMixed},
		{"a bad one in a batch", packetBad},
		{"nothing is kept", packetNotKept},
		{"many writers", packetWriters},
		{"answer from the sink", packetAnswer},
		{"close from the sink", packetCloseInSink},
		{"after close", packetClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := makePair(t)
			defer b.Conn.Close()
			defer a.Conn.Close()
			tc.run(t, &packetPeer{PacketEnd: a, in: newInbox()}, &packetPeer{PacketEnd: b, in: newInbox()})
		})
	}
}

// packetPeer is an end with the datagrams that it has received.
type packetPeer struct {
	PacketEnd
	in      *inbox
	started bool
}

// listen begins to receive, once.
func (p *packetPeer) listen() {
	if !p.started {
		p.started = true
		p.Conn.Receive(p.in.sink)
	}
}

func packetSizes(t *testing.T, a, b *packetPeer) {
	a.listen()
	b.listen()
	for _, size := range []int{0, 1, 512, 1400, 9000, 60_000} {
		post(t, a, b, Pattern(size, 1))
		collect(t, b, a, Pattern(size, 1))
		post(t, b, a, Pattern(size, 2))
		collect(t, a, b, Pattern(size, 2))
	}
}

func packetBatch(t *testing.T, a, b *packetPeer) {
	b.listen()
	const count = 2*netio.MaxBurst + 7
	var all, want [][]byte
	for i := range count {
		all, want = append(all, Pattern(100, byte(i))), append(want, Pattern(100, byte(i)))
	}
	post(t, a, b, all...)
	collect(t, b, a, want...)
}

// Runs of equal sizes, shorter and longer ones and empty ones in one call stay
// apart and in order.
func packetMixed(t *testing.T, a, b *packetPeer) {
	b.listen()
	var all, want [][]byte
	for i, size := range []int{100, 100, 100, 40, 100, 0, 0, 100, 101, 101, 3, 3, 3, 1, 0, 1400, 1400, 9000, 9000, 10} {
		all, want = append(all, Pattern(size, byte(i))), append(want, Pattern(size, byte(i)))
	}
	post(t, a, b, all...)
	collect(t, b, a, want...)
}

func packetBad(t *testing.T, a, b *packetPeer) {
	b.listen()
	n, err := a.Conn.WritePackets([]core.Packet{
		{Addr: b.Addr, Data: []byte("first")},
		{Addr: b.Addr, Data: make([]byte, core.MaxDatagram+100)},
		{Addr: core.Addr{}, Data: []byte("to nowhere")},
		{Addr: b.Addr, Data: []byte("last")},
	})
	if n != 2 || err != nil {
		t.Errorf("write: got %d, %v, want 2, nil", n, err)
	}
	collect(t, b, a, []byte("first"), []byte("last"))
}

func packetNotKept(t *testing.T, a, b *packetPeer) {
	b.listen()
	data := Pattern(1000, 1)
	post(t, a, b, data)
	clear(data)
	collect(t, b, a, Pattern(1000, 1))
}

func packetWriters(t *testing.T, a, b *packetPeer) {
	b.listen()
	const writers, each = 4, 25
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				post(t, a, b, Pattern(200, 9))
			}
		})
	}
	all.Wait()
	for range writers * each {
		collect(t, b, a, Pattern(200, 9))
	}
}

// A sink may write to the connection that calls it.
func packetAnswer(t *testing.T, a, b *packetPeer) {
	a.listen()
	b.Conn.Receive(func(ps []core.Packet) {
		for i := range ps {
			ps[i].Addr = a.Addr
		}
		_, _ = b.Conn.WritePackets(ps) // the other end detects a missing datagram
	})
	post(t, a, b, Pattern(300, 5))
	collect(t, a, b, Pattern(300, 5))
}

func packetCloseInSink(t *testing.T, a, b *packetPeer) {
	closed := make(chan struct{}, 1)
	b.Conn.Receive(func([]core.Packet) {
		b.Conn.Close()
		closed <- struct{}{}
	})
	post(t, a, b, []byte("x"))
	Await(t, "a close from within the sink", closed)
}

func packetClosed(t *testing.T, a, b *packetPeer) {
	a.listen()
	a.Conn.Close()
	a.Conn.Close() // a second call must not panic
	n, err := a.Conn.WritePackets([]core.Packet{{Addr: b.Addr, Data: []byte("x")}})
	if n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: got %d, %v, want 0, net.ErrClosed", n, err)
	}
}

// post writes datagrams from one end to the other in one call. It may change their bytes.
func post(t *testing.T, from, to *packetPeer, all ...[]byte) {
	t.Helper()
	var ps []core.Packet
	for _, data := range all {
		ps = append(ps, core.Packet{Addr: to.Addr, Data: data})
	}
	if n, err := from.Conn.WritePackets(ps); n != len(all) || err != nil {
		t.Errorf("write: got %d, %v, want %d, nil", n, err, len(all))
	}
}

// collect waits for datagrams in order and checks their source.
func collect(t *testing.T, at, from *packetPeer, want ...[]byte) {
	t.Helper()
	for _, data := range want {
		got := at.in.next(t)
		if got.Addr != from.Addr {
			t.Errorf("source: got %v, want %v", got.Addr, from.Addr)
		}
		same(t, got.Data, data)
	}
}
