package ciphertest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// flips are the changes applied to each byte.
var flips = [...]byte{0x01, 0x80}

// refuses checks that a server refuses the bytes of wire without a reaction that a prober
// could observe, and returns the error.
func refuses(t *testing.T, c core.Cipher, wire *script, wrap func(*script) core.Stream) error {
	t.Helper()
	err := judges(t, c, wire, wrap)
	if err == nil {
		t.Fatalf("%d bytes were accepted", len(wire.given))
	}
	return err
}

// judges lets a server accept or refuse the bytes of wire, and returns the error. A refusal
// must have no reaction that a prober could observe.
func judges(t *testing.T, c core.Cipher, wire *script, wrap func(*script) core.Stream) error {
	t.Helper()
	a, err := c.AcceptStream(wrap(wire), core.Caller{Addr: someone})
	if err == nil {
		if a.Stream.Close(); !a.Target.IsValid() {
			t.Errorf("%d bytes were accepted without a target", len(wire.given))
		}
		return nil
	}
	if a.Stream != nil || a.Target.IsValid() {
		t.Errorf("refused with %v: got stream %v and target %s, want none", err, a.Stream, a.Target)
	}
	if !bytes.Equal(a.Payload, wire.given) {
		t.Errorf("refused with %v: payload is not the %d bytes that were read", err, len(wire.given))
	}
	if len(wire.wrote) > 0 || wire.ended || wire.closed {
		t.Errorf("refused with %v: the wire was written to or ended", err)
	}
	return err
}

// tamperedRequest flips two bits, one at a time, in each byte of a first flight.
func (k kit) tamperedRequest(t *testing.T) {
	flight := dial(t, k.cipher(t), []byte("hello, world")).sent()
	for _, s := range []split{{"whole", whole}, {"byte by byte", bytewise}} {
		for _, w := range wraps {
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				for i := range flight {
					for _, flip := range flips {
						bad := bytes.Clone(flight)
						bad[i] ^= flip
						err := refuses(t, k.cipher(t), &script{segments: s.cut(bad)}, w.wrap)
						if !errors.Is(err, core.ErrAuth) {
							t.Fatalf("byte %d: got %v, want core.ErrAuth", i, err)
						}
						if core.IsAuthenticated(err) {
							t.Fatalf("byte %d: a forged request counts as authenticated", i)
						}
					}
				}
			})
		}
	}
}

// truncatedRequest ends the wire at each byte of a first flight.
func (k kit) truncatedRequest(t *testing.T) {
	flight := dial(t, k.cipher(t), []byte("hello, world")).sent()
	for _, w := range wraps {
		t.Run(w.name, func(t *testing.T) {
			for n := range flight {
				err := refuses(t, k.cipher(t), &script{segments: whole(flight[:n])}, w.wrap)
				if n > 0 && !errors.Is(err, core.ErrShort) {
					t.Fatalf("%d bytes of %d: got %v, want core.ErrShort", n, len(flight), err)
				}
			}
		})
	}
}

// randomBytes probes with noise of all sizes.
func (k kit) randomBytes(t *testing.T) {
	noise := noises(t)
	c := k.cipher(t)
	for n := range 400 {
		noise := noise(n)
		for _, w := range wraps {
			refuses(t, c, &script{segments: whole(noise)}, w.wrap)
		}
	}
}

// noise probes with noise of all sizes. A method that does not authenticate may accept some
// of it as requests.
func (k kit) noise(t *testing.T) {
	noise := noises(t)
	c := k.cipher(t)
	for n := range 400 {
		noise := noise(n)
		for _, w := range wraps {
			if err := judges(t, c, &script{segments: whole(noise)}, w.wrap); core.IsAuthenticated(err) {
				t.Errorf("%d bytes of noise count as authenticated: %v", n, err)
			}
		}
	}
}

// cutRequest ends the wire at each byte of a request without a payload.
func (k kit) cutRequest(t *testing.T) {
	flight := dial(t, k.cipher(t), nil).sent()
	for _, w := range wraps {
		t.Run(w.name, func(t *testing.T) {
			for n := range flight {
				err := refuses(t, k.cipher(t), &script{segments: bytewise(flight[:n])}, w.wrap)
				if n > 0 && !errors.Is(err, core.ErrShort) {
					t.Errorf("%d bytes of %d: got %v, want core.ErrShort", n, len(flight), err)
				}
			}
		})
	}
}
