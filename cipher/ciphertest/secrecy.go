package ciphertest

import (
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
)

// row is the number of consecutive equal bytes that count as a match: a match by chance
// occurs once in 2^40 such tests.
const row = 8

// shared returns bytes that occur in both a and b, at any position.
func shared(a, b []byte) []byte {
	rows := map[[row]byte]bool{}
	for w := a; len(w) >= row; w = w[1:] {
		rows[[row]byte(w)] = true
	}
	for w := b; len(w) >= row; w = w[1:] {
		if rows[[row]byte(w)] {
			return w[:row]
		}
	}
	return nil
}

// hides checks that first and second, which contain the same plaintext, neither show it nor
// resemble each other.
func hides(t *testing.T, what string, first, second []byte, plain ...[]byte) {
	t.Helper()
	for _, wire := range [][]byte{first, second} {
		for _, p := range plain {
			if in := shared(wire, p); in != nil {
				t.Errorf("%s: %q is visible", what, in)
			}
		}
	}
	if in := shared(first, second); in != nil {
		t.Errorf("%s: %x occurs in both transmissions of the same plaintext", what, in)
	}
}

// secrecy checks the bytes of two equal streams under one key on the network.
func (k kit) secrecy(t *testing.T) {
	client, server := k.cipher(t), k.cipher(t)
	early, late, answer := coretest.Pattern(64, 1), coretest.Pattern(64, 2), coretest.Pattern(64, 3)
	name := []byte(target(t).Host())
	var up, down [2][]byte
	for i := range up {
		r := dial(t, client, early)
		put(t, r, late)
		up[i] = r.sent()
		incoming := &script{segments: whole(up[i])}
		a := accept(t, server, incoming)
		put(t, a.Stream, answer)
		put(t, a.Stream, answer)
		down[i] = slices.Concat(incoming.wrote...)
	}
	hides(t, "a request", up[0], up[1], name, early, late)
	hides(t, "an answer", down[0], down[1], answer)
}

// secrecy checks equal datagrams in both directions.
func (k packetKit) secrecy(t *testing.T) {
	c, s := k.client(t), k.server(t)
	payload, name := coretest.Pattern(64, 1), []byte(target(t).Host())
	var up, down [2][]byte
	for i := range up {
		up[i] = sealed(t, c, payload, target(t))
		down[i] = sealed(t, opened(t, s, up[i]).Session, payload, target(t))
	}
	hides(t, "a datagram", up[0], up[1], name, payload)
	hides(t, "a reply", down[0], down[1], name, payload)
}
