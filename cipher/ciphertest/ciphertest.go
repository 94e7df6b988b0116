// Package ciphertest is the conformance kit of core.Cipher. The author of a method calls
// it from a test of the method:
//
//	func TestConformance(t *testing.T) {
//		ciphertest.Run(t, func(t testing.TB) core.Cipher { return newMine(t) })
//	}
//
// It checks what a peer, a prober and an attacker on the path can observe and do, and the
// cost of a method. It is independent of the wire format.
package ciphertest

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Run runs the complete kit as subtests. newCipher returns a new instance with the same
// key at each call, which has not received any request. The kit counts goroutines and
// buffers, so nothing else may run concurrently. It counts allocations only without the
// race detector: run it both ways.
func Run(t *testing.T, newCipher func(t testing.TB) core.Cipher) {
	kit{newCipher}.run(t, append(carrying(), authenticating()...))
}

// RunUnauthenticated runs the checks that also hold for a method of streams that can't
// distinguish forged bytes from genuine ones.
func RunUnauthenticated(t *testing.T, newCipher func(t testing.TB) core.Cipher) {
	kit{newCipher}.run(t, append(carrying(), unauthenticated()...))
}

// RunReplays runs, in addition to RunUnauthenticated, the checks for such a method if it
// refuses replays. Run has stricter checks: in an authenticating method a salt may count as
// used only after the sender has proved the key.
func RunReplays(t *testing.T, newCipher func(t testing.TB) core.Cipher) {
	kit{newCipher}.run(t, []check{
		{"replay", kit.replay},
		{"replay at the same instant", kit.replayRace},
		{"salt of a refused request", kit.saltOfRefused},
		{"reflection", kit.reflection},
	})
}

// ProofSize returns the number of bytes of a request after which the server has
// authenticated it. It checks that the server reports waits before that point to the caller,
// and no waits after it.
func ProofSize(t *testing.T, newCipher func(t testing.TB) core.Cipher) int {
	return kit{newCipher}.shows(t)
}

// kit is the method under test.
type kit struct{ cipher func(testing.TB) core.Cipher }

// check is one subtest.
type check struct {
	name string
	run  func(kit, *testing.T)
}

// carrying returns the checks for every method.
func carrying() []check {
	return []check{
		{"identity", kit.identity},
		{"every size and split", kit.everySize},
		{"chunk borders", kit.borders},
		{"large", kit.large},
		{"targets", kit.targets},
		{"one dial, one write", kit.oneDial},
		{"dial error", kit.dialError},
		{"write error", kit.writeError},
		{"caller's memory", kit.memory},
		{"accepted payload", kit.acceptedPayload},
		{"streams", kit.streams},
		{"many streams", kit.manyStreams},
		{"deadline in a handshake", kit.handshakeDeadline},
		{"waits are reported", kit.waits},
		{"deadline in a chunk", kit.chunkDeadline},
		{"deadline in the first chunk", kit.firstChunkDeadline},
		{"no buffer while idle", kit.idle},
		{"allocations", kit.allocations},
	}
}

// unauthenticated returns the checks for methods that can't distinguish forged bytes from
// genuine ones.
func unauthenticated() []check {
	return []check{
		{"request cut off", kit.cutRequest},
		{"noise", kit.noise},
	}
}

// authenticating returns the checks for methods that authenticate.
func authenticating() []check {
	return []check{
		{"nothing in the clear", kit.secrecy},
		{"broken stream", kit.brokenStream},
		{"broken stream is absorbed", kit.absorbs},
		{"interrupted stream is incomplete", kit.interrupts},
		{"tampered request", kit.tamperedRequest},
		{"tampered stream", kit.tamperedStream},
		{"tampered answer", kit.tamperedAnswer},
		{"moved chunks", kit.movedChunks},
		{"truncated request", kit.truncatedRequest},
		{"truncated stream", kit.truncatedStream},
		{"truncated answer", kit.truncatedAnswer},
		{"random bytes", kit.randomBytes},
		{"replay", kit.replay},
		{"replay at the same instant", kit.replayRace},
		{"salt of noise", kit.saltOfNoise},
		{"reflection", kit.reflection},
	}
}

func (k kit) run(t *testing.T, checks []check) {
	before := goleak.IgnoreCurrent()
	for _, c := range checks {
		out := netio.BuffersOut()
		t.Run(c.name, func(t *testing.T) { c.run(k, t) })
		if n := netio.BuffersOut() - out; n != 0 {
			t.Errorf("%s: %d buffers were borrowed and not returned", c.name, n)
		}
	}
	goleak.VerifyNone(t, before)
}

// identity checks the methods of a Cipher that use no stream.
func (k kit) identity(t *testing.T) {
	c := k.cipher(t)
	if c.Method() == "" {
		t.Error("the method has no name")
	}
	derive := func(c core.Cipher, label string) []byte {
		out := make([]byte, 16)
		c.Derive(label, out)
		return out
	}
	a := derive(c, "a")
	if again := derive(k.cipher(t), "a"); !bytes.Equal(a, again) {
		t.Errorf("Derive: got %x and %x for one key and label", a, again)
	}
	if b := derive(c, "b"); bytes.Equal(a, b) {
		t.Errorf("Derive: got %x for two labels", a)
	}
	if p, q := ending.Patience(c), ending.Patience(k.cipher(t)); p != q {
		t.Errorf("patience: got %s and %s for one key", p, q)
	}
}
