package coretest

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestPacketConn checks that a packet connection keeps the contract of
// core.PacketConn. makePair returns two that reach each other; the kit closes
// them.
func TestPacketConn(t *testing.T, makePair func(t testing.TB) (a, b PacketEnd)) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, a, b PacketEnd)
	}{
		{"sizes", packetSizes},
		{"batch", packetBatch},
		{"too long for its buffer", packetTooLong},
		{"a bad one in a batch", packetBad},
		{"nothing is kept", packetNotKept},
		{"read deadline", packetDeadline},
		{"close ends a read", packetClose},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := makePair(t)
			defer b.Conn.Close()
			defer a.Conn.Close()
			for _, end := range []PacketEnd{a, b} {
				if err := end.Conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
			}
			tc.run(t, a, b)
		})
	}
}

func packetSizes(t *testing.T, a, b PacketEnd) {
	for _, size := range []int{0, 1, 512, 1400, 9000} {
		want := Pattern(size, 1)
		post(t, a, b, want)
		if got := collect(t, b, a.Addr, 1); len(got) == 1 {
			same(t, got[0], want)
		}
		post(t, b, a, want)
		if got := collect(t, a, b.Addr, 1); len(got) == 1 {
			same(t, got[0], want)
		}
	}
}

func packetBatch(t *testing.T, a, b PacketEnd) {
	const count = 20
	var all [][]byte
	for i := range count {
		all = append(all, Pattern(10+i, byte(i)))
	}
	post(t, a, b, all...)
	for i, got := range collect(t, b, a.Addr, count) {
		same(t, got, all[i])
	}
}

func packetTooLong(t *testing.T, a, b PacketEnd) {
	post(t, a, b, Pattern(101, 1), Pattern(100, 2))
	ps := []core.Packet{{Data: make([]byte, 100)}, {Data: make([]byte, 100)}}
	n, err := b.Conn.ReadPackets(ps)
	if n != 1 || err != nil {
		t.Fatalf("read: got %d, %v, want 1, nil: the longer one is dropped", n, err)
	}
	same(t, ps[0].Data, Pattern(100, 2))
}

func packetBad(t *testing.T, a, b PacketEnd) {
	n, err := a.Conn.WritePackets([]core.Packet{
		{Addr: b.Addr, Data: []byte("first")},
		{Addr: b.Addr, Data: make([]byte, core.MaxDatagram+100)},
		{Addr: core.Addr{}, Data: []byte("to nowhere")},
		{Addr: b.Addr, Data: []byte("last")},
	})
	if n != 2 || err != nil {
		t.Errorf("write: got %d, %v, want 2, nil", n, err)
	}
	got := collect(t, b, a.Addr, 2)
	if len(got) == 2 {
		same(t, got[0], []byte("first"))
		same(t, got[1], []byte("last"))
	}
}

func packetNotKept(t *testing.T, a, b PacketEnd) {
	data := Pattern(1000, 1)
	post(t, a, b, data)
	clear(data)
	if got := collect(t, b, a.Addr, 1); len(got) == 1 {
		same(t, got[0], Pattern(1000, 1))
	}
}

func packetDeadline(t *testing.T, a, b PacketEnd) {
	ps := []core.Packet{{Data: make([]byte, 100)}}
	for _, in := range []time.Duration{-time.Second, quiet} {
		if err := a.Conn.SetReadDeadline(time.Now().Add(in)); err != nil {
			t.Fatal(err)
		}
		if n, err := a.Conn.ReadPackets(ps); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: got %d, %v, want 0, os.ErrDeadlineExceeded", n, err)
		}
	}
	if err := a.Conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	post(t, b, a, []byte("late"))
	collect(t, a, b.Addr, 1)
}

func packetClose(t *testing.T, a, _ PacketEnd) {
	within(t, "the end of a read whose connection is closed", func() {
		var all sync.WaitGroup
		all.Go(func() {
			ps := []core.Packet{{Data: make([]byte, 100)}}
			if n, err := a.Conn.ReadPackets(ps); n != 0 || err == nil {
				t.Errorf("read: got %d, %v, want 0, an error", n, err)
			}
		})
		a.Conn.Close()
		all.Wait()
		a.Conn.Close() // must not panic
	})
}

// post writes datagrams from one end to the other in one call.
func post(t *testing.T, from, to PacketEnd, all ...[]byte) {
	t.Helper()
	var ps []core.Packet
	for _, data := range all {
		ps = append(ps, core.Packet{Addr: to.Addr, Data: data})
	}
	if n, err := from.Conn.WritePackets(ps); n != len(ps) || err != nil {
		t.Fatalf("write: got %d, %v, want %d, nil", n, err, len(ps))
	}
}

// collect reads n datagrams and checks their source.
func collect(t *testing.T, at PacketEnd, from core.Addr, n int) [][]byte {
	t.Helper()
	var all [][]byte
	for len(all) < n {
		ps := make([]core.Packet, 8)
		for i := range ps {
			ps[i].Data = make([]byte, 10_000)
		}
		got, err := at.Conn.ReadPackets(ps)
		if err != nil {
			t.Errorf("read after %d datagrams: got %v, want %d", len(all), err, n)
			return nil
		}
		for _, p := range ps[:got] {
			if p.Addr != from {
				t.Errorf("source: got %v, want %v", p.Addr, from)
			}
			all = append(all, p.Data)
		}
	}
	return all
}
