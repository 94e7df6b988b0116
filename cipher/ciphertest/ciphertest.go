// Package ciphertest is the conformance kit of core.Cipher. The author of a
// method calls it from a test of their own:
//
//	func TestConformance(t *testing.T) {
//		ciphertest.Run(t, func(t testing.TB) core.Cipher { return newMine(t) })
//	}
//
// It checks what an honest peer, a prober and an attacker on the path can see
// and do, and what a method may cost. It knows nothing of the wire format.
package ciphertest

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Run runs the whole kit as subtests. newCipher returns a fresh instance with
// the same key at each call, which has seen no request yet. The kit counts
// goroutines and buffers, so nothing else may run beside it. Allocations it counts
// only without the race detector: run it both ways.
func Run(t *testing.T, newCipher func(t testing.TB) core.Cipher) {
	kit{newCipher}.run(t, append(carrying(), authenticating()...))
}

// RunUnauthenticated runs what also holds for a method that carries streams but
// can't tell forged bytes from true ones.
func RunUnauthenticated(t *testing.T, newCipher func(t testing.TB) core.Cipher) {
	kit{newCipher}.run(t, append(carrying(), unauthenticated()...))
}

// RunReplays runs, beside RunUnauthenticated, what such a method keeps if it refuses
// what it has seen. Run has checks of its own: there a salt may be spent as soon as
// its sender has proved the key.
func RunReplays(t *testing.T, newCipher func(t testing.TB) core.Cipher) {
	kit{newCipher}.run(t, []check{
		{"replay", kit.replay},
		{"replay at the same instant", kit.replayRace},
		{"burnt by what is refused", kit.burntByRefused},
		{"reflection", kit.reflection},
	})
}

// Shows returns how many bytes of a request show a server the key: of waits after them
// its caller is not told. It checks that of fewer it is.
func Shows(t *testing.T, newCipher func(t testing.TB) core.Cipher) int {
	return kit{newCipher}.shows(t)
}

// kit is the method under test.
type kit struct{ cipher func(testing.TB) core.Cipher }

// check is one subtest.
type check struct {
	name string
	run  func(kit, *testing.T)
}

// carrying is what every method does.
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
		{"told of waits", kit.waits},
		{"deadline in a chunk", kit.chunkDeadline},
		{"deadline in the first chunk", kit.firstChunkDeadline},
		{"no buffer while idle", kit.idle},
		{"allocations", kit.allocations},
	}
}

// unauthenticated is what a method does that can't tell forged bytes from true
// ones.
func unauthenticated() []check {
	return []check{
		{"request cut off", kit.cutRequest},
		{"noise", kit.noise},
	}
}

// authenticating is what a method does that tells forged bytes from true ones.
func authenticating() []check {
	return []check{
		{"nothing in the clear", kit.secrecy},
		{"broken stream", kit.brokenStream},
		{"broken stream is absorbed", kit.absorbs},
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
		{"burnt salt", kit.burntSalt},
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

// identity checks the methods that touch no stream.
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
