package ciphertest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// notOpened checks that a server refuses a request, and returns the error.
func notOpened(t *testing.T, s core.PacketServer, wire []byte) error {
	t.Helper()
	o, err := s.Open(bytes.Clone(wire), someone)
	if err == nil {
		t.Fatalf("%d bytes were opened, target %s", len(wire), o.Target)
	}
	if o.Session != nil || o.Target.IsValid() || o.Payload != nil {
		t.Errorf("refused with %v: got %+v with the error, want nothing", err, o)
	}
	return err
}

// anyOrder reorders datagrams and drops every fifth.
func (k packetKit) anyOrder(t *testing.T) {
	c, s := k.client(t), k.server(t)
	var wires [][]byte
	for i := range 200 {
		wires = append(wires, sealed(t, c, []byte{byte(i)}, target(t)))
	}
	seed := rand.Uint64()
	t.Logf("seed of the order: %d", seed)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(wires), func(i, j int) { wires[i], wires[j] = wires[j], wires[i] })
	for _, wire := range wires[:160] {
		opened(t, s, wire)
	}
}

// concurrent uses one client and one server from many goroutines.
func (k packetKit) concurrent(t *testing.T) {
	c, s := k.client(t), k.server(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 100 {
				payload := coretest.Pattern(50+j, byte(i))
				wire, err := c.AppendPacket(nil, payload, target(t))
				if err != nil {
					t.Errorf("seal: %v", err)
					return
				}
				o, err := s.Open(wire, someone)
				if err != nil || !bytes.Equal(o.Payload, payload) {
					t.Errorf("open: %v", err)
					return
				}
				if _, err := o.Session.AppendPacket(nil, payload, target(t)); err != nil {
					t.Errorf("seal a reply: %v", err)
				}
			}
		})
	}
	all.Wait()
}

// tampered changes two bits of each byte, in both directions.
func (k packetKit) tampered(t *testing.T) {
	c, s := k.client(t), k.server(t)
	wire := sealed(t, c, []byte("hello, world"), target(t))
	o := opened(t, s, sealed(t, c, []byte("x"), target(t)))
	reply := sealed(t, o.Session, []byte("hello, world"), target(t))
	for i := range max(len(wire), len(reply)) {
		for _, flip := range flips {
			if i < len(wire) {
				bad := bytes.Clone(wire)
				bad[i] ^= flip
				if err := notOpened(t, s, bad); core.IsAuthenticated(err) {
					t.Fatalf("byte %d: a forged request counts as authenticated: %v", i, err)
				}
			}
			if i < len(reply) {
				bad := bytes.Clone(reply)
				bad[i] ^= flip
				if _, _, err := c.OpenPacket(bad); err == nil {
					t.Fatalf("byte %d: a forged reply was opened", i)
				}
			}
		}
	}
	opened(t, s, wire) // no forged datagram has made the genuine one a replay
}

func (k packetKit) truncated(t *testing.T) {
	c, s := k.client(t), k.server(t)
	wire := sealed(t, c, []byte("hello, world"), target(t))
	o := opened(t, s, sealed(t, c, []byte("x"), target(t)))
	reply := sealed(t, o.Session, []byte("hello, world"), target(t))
	for n := range wire {
		notOpened(t, s, wire[:n])
	}
	for n := range reply {
		if _, _, err := c.OpenPacket(bytes.Clone(reply[:n])); err == nil {
			t.Errorf("%d bytes of a reply of %d were opened", n, len(reply))
		}
	}
	notOpened(t, s, slices.Concat(wire, []byte{0}))
	opened(t, s, wire)
}

func (k packetKit) random(t *testing.T) {
	noise := noises(t)
	c, s := k.client(t), k.server(t)
	for n := range 1500 {
		noise := noise(n)
		notOpened(t, s, noise)
		if _, _, err := c.OpenPacket(noise); err == nil {
			t.Errorf("%d bytes of noise were opened as a reply", n)
		}
	}
}

// noPort requests a target that can't be reached.
func (k packetKit) noPort(t *testing.T) {
	if err := k.withoutPort(t); !errors.Is(err, core.ErrMalformed) {
		t.Errorf("got %v, want core.ErrMalformed", err)
	}
}

func (k packetKit) noPortProved(t *testing.T) {
	if err := k.withoutPort(t); !core.IsAuthenticated(err) {
		t.Errorf("got %v, want an authenticated error", err)
	}
}

// withoutPort returns the error for a datagram for port 0.
func (k packetKit) withoutPort(t *testing.T) error {
	t.Helper()
	addr, err := core.NewAddr("example.com", 0)
	if err != nil {
		t.Fatal(err)
	}
	return notOpened(t, k.server(t), sealed(t, k.client(t), []byte("x"), addr))
}

func (k packetKit) replay(t *testing.T) {
	c, s := k.client(t), k.server(t)
	var wires [][]byte
	for i := range 50 {
		wires = append(wires, sealed(t, c, []byte{byte(i)}, target(t)))
		opened(t, s, wires[i])
	}
	for _, wire := range wires {
		if err := notOpened(t, s, wire); !errors.Is(err, core.ErrReplay) {
			t.Errorf("got %v, want core.ErrReplay", err)
		}
	}
	opened(t, s, sealed(t, c, []byte("new"), target(t)))
}

func (k packetKit) replayRace(t *testing.T) {
	c, s := k.client(t), k.server(t)
	for range raceRounds {
		wire := sealed(t, c, []byte("hello"), target(t))
		var all sync.WaitGroup
		var errs [2]error
		begin := make(chan struct{})
		for i := range errs {
			all.Go(func() {
				<-begin
				_, errs[i] = s.Open(bytes.Clone(wire), someone)
			})
		}
		close(begin)
		all.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("two equal requests at once: got %v and %v, want one of them opened", errs[0], errs[1])
		}
	}
}

// saltOfForgery sends datagrams that start like a request before the request itself.
func (k packetKit) saltOfForgery(t *testing.T) {
	c, s := k.client(t), k.server(t)
	wire := sealed(t, c, []byte("hello"), target(t))
	for i := range wire {
		forged := bytes.Clone(wire)
		for j := i; j < len(forged); j++ {
			forged[j] ^= 0xFF
		}
		notOpened(t, s, forged)
	}
	opened(t, s, wire)
}

// reflection sends the server one of its replies.
func (k packetKit) reflection(t *testing.T) {
	c, s := k.client(t), k.server(t)
	o := opened(t, s, sealed(t, c, []byte("hello"), target(t)))
	notOpened(t, s, sealed(t, o.Session, []byte("answer"), target(t)))
}

// allocations measures a request and a reply, sealed and opened.
func (k packetKit) allocations(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools forget")
	}
	c, s := k.client(t), k.server(t)
	payload, memory := coretest.Pattern(1200, 1), make([]byte, 0, 2000)
	addr := target(t)
	n := testing.AllocsPerRun(200, func() {
		wire, err := c.AppendPacket(memory, payload, addr)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Open(wire, someone)
		if err != nil {
			t.Fatal(err)
		}
		if wire, err = o.Session.AppendPacket(memory, payload, addr); err != nil {
			t.Fatal(err)
		}
		if _, _, err = c.OpenPacket(wire); err != nil {
			t.Fatal(err)
		}
	})
	if n/2 > mostPacketAllocs {
		t.Errorf("got %v allocations to seal and open a datagram, want at most %d", n/2, mostPacketAllocs)
	}
}
