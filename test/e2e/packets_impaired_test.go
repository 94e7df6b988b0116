package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/impair"
	"github.com/umbra-proxy/umbra/test/peer"
)

const (
	impairedCount  = 1024 // datagrams of a test
	impairedWindow = 32   // datagrams in flight, few enough for every buffer on the path
)

// impairedPayload returns datagram i of a test: 16 to 1200 bytes, unique for each i.
func impairedPayload(i int) string {
	return fmt.Sprintf("%04d", i) + pattern(12+i*331%1185, uint64(i))
}

// impaired runs a client, a server and a disturbed network between them.
func impaired(t *testing.T, up, down impair.PacketDirection) (*impair.PacketRelay, *association, *packetTarget) {
	t.Helper()
	relay := impair.NewPackets(t, peer.Addr(umbraServer(t, method)), impair.PacketOptions{Up: up, Down: down})
	return relay, associate(t, umbraLocal(t, method, portOf(t, relay.Addr()))), newEcho(t, "127.0.0.1")
}

// TestPacketsLossy applies all disturbances in both directions: datagrams that arrive are intact, and
// reach the target once, because a server refuses duplicates.
func TestPacketsLossy(t *testing.T) {
	t.Parallel()
	worst := impair.PacketDirection{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Corrupt: 0.01, Jitter: 5 * time.Millisecond}
	relay, a, target := impaired(t, worst, worst)
	answers := a.collect()
	sent := map[string]bool{end: true}
	for i := range impairedCount {
		payload := impairedPayload(i)
		sent[payload] = true
		a.send(t, target.addr, payload)
		if i%impairedWindow == impairedWindow-1 {
			await(t, "the relay to pass all on", func() bool {
				up, _ := relay.Counts()
				return up.Came == i+1 && up.Out == up.Came-up.Lost+up.Duplicated
			})
		}
	}
	endUp(t, relay, target)
	await(t, "all that was neither lost nor corrupted to reach the target", func() bool {
		up, _ := relay.Counts()
		return len(target.all()) == up.Came-up.Lost-up.Corrupted+1 // plus the end marker
	})
	await(t, "as much of the answers to reach the client", func() bool {
		_, down := relay.Counts()
		return down.Came == len(target.all()) && len(answers.all()) == down.Came-down.Lost-down.Corrupted
	})
	checkOnce(t, target, sent)
	for payload := range answers.all() {
		if !sent[payload] {
			t.Errorf("the client got %s, which was never sent", summary(payload))
		}
	}
	if got := answers.from(); len(got) != 1 || got[0].String() != target.addr {
		t.Errorf("answers came from %v, want %s alone", got, target.addr)
	}
}

// end is the payload of the datagram that marks the end of a test. Its answer may be disturbed.
const end = "the end"

// endUp sends the end marker to the target, undisturbed and after all other datagrams, and waits for
// it.
func endUp(t *testing.T, relay *impair.PacketRelay, target *packetTarget) {
	t.Helper()
	if err := relay.InjectUp(0, []byte(sealed(t, packetClient(t, method), target.addr, end))); err != nil {
		t.Fatal(err)
	}
	await(t, "the last datagram to reach the target", func() bool { return target.times(end) > 0 })
}

// checkOnce checks that every datagram at the target was sent, and arrived once.
func checkOnce(t *testing.T, target *packetTarget, sent map[string]bool) {
	t.Helper()
	for payload, times := range target.all() {
		if !sent[payload] {
			t.Errorf("the target got %s, which was never sent", summary(payload))
		}
		if times != 1 {
			t.Errorf("the target got %s %d times, want once", summary(payload), times)
		}
	}
}

// TestPacketsDisordered uses a network without losses: every datagram arrives, and reaches the target
// once.
func TestPacketsDisordered(t *testing.T) {
	t.Parallel()
	mixed := impair.PacketDirection{Duplicate: 0.2, Reorder: 0.2, Jitter: 5 * time.Millisecond}
	relay, a, target := impaired(t, mixed, mixed)
	sent := map[string]bool{end: true}
	for first := 0; first < impairedCount; first += impairedWindow {
		due := map[string]bool{}
		for i := first; i < first+impairedWindow; i++ {
			payload := impairedPayload(i)
			due[payload], sent[payload] = true, true
			a.send(t, target.addr, payload)
		}
		for len(due) > 0 {
			payload, _ := a.receive(t)
			delete(due, payload) // a duplicated answer arrives twice
		}
	}
	await(t, "the relay to pass all on", func() bool {
		up, _ := relay.Counts()
		return up.Out == impairedCount+up.Duplicated
	})
	endUp(t, relay, target)
	checkOnce(t, target, sent)
	if up, down := relay.Counts(); up.Duplicated == 0 || up.Held == 0 || down.Duplicated == 0 || down.Held == 0 {
		t.Errorf("the network did %+v and %+v, want some disturbance", up, down)
	}
}
