package impair

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net"
	"testing"
	"time"
)

// packetEcho is a UDP server that echoes until the test ends.
func packetEcho(t *testing.T) string {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	grow(c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, packetRoom)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().String()
}

func packetClient(t *testing.T, r *PacketRelay) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp4", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	grow(c.(*net.UDPConn))
	return c.(*net.UDPConn)
}

// Undisturbed, everything arrives unchanged, in order, and at its own client.
func TestPacketsUndisturbed(t *testing.T) {
	r := NewPackets(t, packetEcho(t), PacketOptions{Up: PacketDirection{Record: true}})
	clients := []*net.UDPConn{packetClient(t, r), packetClient(t, r)}
	for _, size := range []int{0, 1, 1400, 60_000, 65_507} {
		for i, c := range clients {
			want := bytes.Repeat([]byte{byte(i + 1)}, size)
			if _, err := c.Write(want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, packetRoom)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			n, err := c.Read(got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Fatalf("%d bytes of client %d: got %d bytes, %v", size, i, n, err)
			}
		}
	}
	if up, down := r.Counts(); up.Came != 10 || up.Out != 10 || down.Out != 10 {
		t.Errorf("counts: got %+v and %+v, want 10 each way", up, down)
	}
	if up, down := r.Recorded(); len(up) != 10 || len(down) != 0 {
		t.Errorf("recorded: got %d and %d, want 10 and 0", len(up), len(down))
	}
}

// Each disturbance is there, in about its share, and nothing else is.
func TestPacketsDisturbed(t *testing.T) {
	const sent = 1000
	for _, tc := range []struct {
		name  string
		d     PacketDirection
		count func(Counts) int // of what the direction asks for; nil to count none
		low   int
		high  int
		out   func(Counts) int // what must come out
	}{
		{"loss", PacketDirection{Loss: 0.3}, func(c Counts) int { return c.Lost }, 200, 400, func(c Counts) int { return sent - c.Lost }},
		{"duplicates", PacketDirection{Duplicate: 0.3}, func(c Counts) int { return c.Duplicated }, 200, 400, func(c Counts) int { return sent + c.Duplicated }},
		{"order", PacketDirection{Reorder: 0.3}, func(c Counts) int { return c.Held }, 200, 400, func(Counts) int { return sent }},
		{"corruption", PacketDirection{Corrupt: 0.3}, func(c Counts) int { return c.Corrupted }, 200, 400, func(Counts) int { return sent }},
		{"jitter", PacketDirection{Delay: time.Millisecond, Jitter: 5 * time.Millisecond}, nil, 0, 0, func(Counts) int { return sent }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := NewPackets(t, packetEcho(t), PacketOptions{Up: tc.d, Seed: 7})
			c := packetClient(t, r)
			came, disordered, damaged := 0, 0, 0
			last := -1
			read := func(wait time.Duration) bool {
				var b [8]byte
				_ = c.SetReadDeadline(time.Now().Add(wait))
				if _, err := c.Read(b[:]); err != nil {
					return false
				}
				came++
				n, check := int(binary.BigEndian.Uint32(b[:])), binary.BigEndian.Uint32(b[4:])
				if wrong := bits.OnesCount32(uint32(n) ^ ^check); wrong != 0 {
					damaged += wrong
					return true
				}
				if n < last {
					disordered++
				}
				last = n
				return true
			}
			for i := range sent {
				b := binary.BigEndian.AppendUint32(nil, uint32(i))
				if _, err := c.Write(binary.BigEndian.AppendUint32(b, ^uint32(i))); err != nil {
					t.Fatal(err)
				}
			}
			for read(5 * holdTime) {
			}
			up, _ := r.Counts()
			if want := tc.out(up); up.Came != sent || came != want {
				t.Errorf("got %d back of %d that came to the relay, want %d of %d", came, up.Came, want, sent)
			}
			if tc.count != nil && (tc.count(up) < tc.low || tc.count(up) > tc.high) {
				t.Errorf("got %+v, want %d to %d disturbed", up, tc.low, tc.high)
			}
			if damaged != up.Corrupted {
				t.Errorf("got %d damaged bits, want %d", damaged, up.Corrupted)
			}
			if moved := tc.d.Reorder > 0 || tc.d.Jitter > 0; (disordered > 0) != moved {
				t.Errorf("got %d out of order, want some: %t", disordered, moved)
			}
		})
	}
}
