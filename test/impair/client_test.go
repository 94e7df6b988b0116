package impair

import (
	"net"
	"testing"
	"time"
)

// Recorded datagrams can be injected towards either side, and are not counted by the relay.
func TestInject(t *testing.T) {
	record := PacketDirection{Record: true}
	r, client, target := throughPackets(t, PacketOptions{Up: record, Down: record})
	target = hello(t, client, target)
	send(t, target, "answer")
	receive(t, client, "answer")

	up, down := r.Recorded()
	if err := r.InjectUp(0, up[0]); err != nil {
		t.Error(err)
	}
	receive(t, target, "hello") // from the client's port
	if err := r.InjectDown(0, down[0]); err != nil {
		t.Error(err)
	}
	receive(t, client, "answer")
	checkCounts(t, r, Counts{Came: 1, Out: 1}, Counts{Came: 1, Out: 1})

	up[0][0] ^= 1 // a test may modify its copy
	if up, down := r.Recorded(); len(up) != 1 || string(up[0]) != "hello" || len(down) != 1 {
		t.Errorf("got %q and %q recorded, want hello and answer", up, down)
	}
}

func TestInjectUnknownClient(t *testing.T) {
	r, client, target := throughPackets(t, PacketOptions{})
	hello(t, client, target)
	for _, i := range []int{-1, 1} {
		if r.InjectUp(i, []byte("x")) == nil || r.InjectDown(i, []byte("x")) == nil {
			t.Errorf("client %d of 1: got no error", i)
		}
	}
}

// A target that returns gets the first datagram after that: an earlier refused datagram must not
// end the relay.
func TestTargetComesBack(t *testing.T) {
	r, client, target := throughPackets(t, PacketOptions{})
	hello(t, client, target)
	for range 100 {
		addr := target.LocalAddr().String()
		target.Close()
		_ = r.InjectUp(0, []byte("refused"))
		target = newPeer(t, addr)
		if err := r.InjectUp(0, []byte("back")); err != nil {
			t.Fatal(err)
		}
		receive(t, target, "back")
	}
}

// A relay ends with its test, even with datagrams in transit.
func TestPacketsCleanup(t *testing.T) {
	late := PacketDirection{Delay: time.Hour, Reorder: 0.5, Duplicate: 1}
	var addr *net.UDPAddr
	t.Run("inner", func(t *testing.T) {
		r, client, target := throughPackets(t, PacketOptions{Down: late, Seed: 1})
		addr = r.socket.LocalAddr().(*net.UDPAddr)
		target = hello(t, client, target)
		send(t, target, "1", "2", "3")
		settle(t, client, func() bool { _, down := r.Counts(); return down.Came == 3 })
	})
	c, err := net.ListenUDP("udp4", addr)
	if err != nil {
		t.Fatalf("the relay's port: %v, want it free", err)
	}
	c.Close()
}
