package aead2022

import (
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/core"
)

var _ core.RelayCipher = (*Cipher)(nil)

// NewRelay returns an IdentityRelay. It forwards requests by their first identity header,
// which it opens with its own key; it needs no user keys. See SIP023.
func (c *Cipher) NewRelay(next []core.NextServer) (core.IdentityRelay, error) {
	switch {
	case c.spec.Block == nil:
		return nil, fmt.Errorf("%s has no identity headers", c.spec.Method)
	case c.identity != nil:
		return nil, errors.New("a relay needs one key, its identity key, and no users")
	}
	block, err := c.spec.Block(c.first)
	if err != nil {
		return nil, err
	}
	r := &relay{spec: c.spec, ipsk: c.first, block: block, byHash: map[hash]int{}}
	for i, n := range next {
		psk, err := parseKey(c.spec, n.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		h := hashKey(psk)
		if other, taken := r.byHash[h]; taken {
			return nil, fmt.Errorf("%s and %s have the same key", next[other].Name, n.Name)
		}
		if subtle.ConstantTimeCompare(psk, c.first) == 1 {
			return nil, fmt.Errorf("%s has the key of the relay itself", n.Name)
		}
		if block, err = c.spec.Block(psk); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		r.byHash[h] = i
		r.blocks = append(r.blocks, block)
	}
	return r, nil
}

// relay selects servers by the hash of their keys.
type relay struct {
	spec   Spec
	ipsk   []byte       // the relay's key
	block  cipher.Block // of ipsk
	byHash map[hash]int
	blocks []cipher.Block // of the servers' keys
}

// AcceptFlight reads
//
//	+------+-----------------+----------------------+-------------------+-----
//	| salt | identity header | identity headers, if | fixed header, tag | …
//	+------+-----------------+----------------------+-------------------+-----
//
// and removes the first identity header. It waits for the minimum size of a request,
// because some servers require that many bytes in one read.
func (r *relay) AcceptFlight(conn core.Stream, from core.Caller) (next int, flight []byte, err error) {
	s := chunk.NewStream(conn, nil)
	defer s.Discard()
	s.Waits = from.Waits
	size := r.spec.KeySize
	head, err := s.Await(r.LeastRequest())
	if err == nil {
		next, err = r.find(head[:size], head[size:size+hashSize])
	}
	all := s.Buffered()
	if err != nil {
		return 0, append([]byte(nil), all...), err
	}
	flight = make([]byte, 0, len(all)-hashSize)
	flight = append(flight, all[:size]...)
	return next, append(flight, all[size+hashSize:]...), nil
}

// LeastRequest returns the size of the identity header and everything around it.
func (r *relay) LeastRequest() int {
	return r.spec.KeySize + hashSize + requestHeaderSize + tagSize
}

// find returns the server of the identity header of a stream. It does not modify header.
func (r *relay) find(salt, header []byte) (int, error) {
	h, err := r.spec.openIdentity(r.ipsk, salt, header)
	if err != nil {
		return 0, err
	}
	return r.named(h)
}

func (r *relay) named(h hash) (int, error) {
	next, ok := r.byHash[h]
	if !ok {
		return 0, core.ErrIdentity
	}
	return next, nil
}

// OpenPacket opens the separate header of a datagram, finds the server of the first
// identity header, and writes the separate header, sealed for that server, in place of the
// identity header.
func (r *relay) OpenPacket(wire []byte) (next int, forwarded []byte, err error) {
	if err := checkSize(wire, separateSize+hashSize+minMain); err != nil {
		return 0, nil, err
	}
	separate, header := wire[:separateSize], wire[separateSize:separateSize+hashSize]
	r.block.Decrypt(separate, separate)
	if next, err = r.named(openPacketIdentity(r.block, header, separate)); err != nil {
		return 0, nil, err
	}
	forwarded = wire[hashSize:]
	r.blocks[next].Encrypt(forwarded[:separateSize], separate)
	return next, forwarded, nil
}
