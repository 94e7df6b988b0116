package aead2022

import (
	"crypto/cipher"
	"crypto/subtle"

	"github.com/umbra-proxy/umbra/core"
)

// putIdentities fills dst with the identity headers of a stream, one per identity key, the
// outermost first:
//
//	+----------------------------------------------+-----
//	| AES(identity subkey, BLAKE3(next key)[0..16]) | …
//	|                     16B                      |
//	+----------------------------------------------+-----
//
// It returns their size in bytes. See SIP023, TCP.
func (c *Cipher) putIdentities(dst, salt []byte) (int, error) {
	n := 0
	for _, id := range c.client.identities {
		block, err := c.spec.Block(identitySubkey(id.ipsk, salt))
		if err != nil {
			return 0, err
		}
		copy(dst[n:], id.next[:])
		block.Encrypt(dst[n:n+hashSize], dst[n:n+hashSize])
		n += hashSize
	}
	return n, nil
}

// headerSize returns the size in bytes of the identity headers that the server reads.
func (c *Cipher) headerSize() int {
	if c.identity == nil {
		return 0
	}
	return hashSize
}

// userOf returns the user of the identity header of a stream. It does not modify header.
func (c *Cipher) userOf(salt, header []byte) (*user, error) {
	if c.identity == nil {
		return c.sole, nil
	}
	h, err := c.spec.openIdentity(c.identity.ipsk, salt, header)
	if err != nil {
		return nil, err
	}
	return c.identity.find(h)
}

// openIdentity returns the hash in the identity header of a stream. It does not modify
// header.
func (s Spec) openIdentity(ipsk, salt, header []byte) (h hash, err error) {
	block, err := s.Block(identitySubkey(ipsk, salt))
	if err == nil {
		block.Decrypt(h[:], header)
	}
	return h, err
}

// find returns the user whose key has the hash h. The duration of the look-up may reveal
// something about hashes. They are not keys, and only clients with the identity key can
// choose h.
func (s *serverIdentity) find(h hash) (*user, error) {
	u := s.users.Load().byHash[h]
	if u == nil {
		return nil, core.ErrIdentity
	}
	return u, nil
}

// putPacketIdentities fills dst with the identity headers of a datagram:
//
//	+--------------------------------------------------------+-----
//	| AES(ipsk, BLAKE3(next key)[0..16] XOR separate header) | …
//	|                          16B                           |
//	+--------------------------------------------------------+-----
//
// See SIP023, UDP.
func (c *Cipher) putPacketIdentities(dst, separate []byte) {
	for i, id := range c.client.identities {
		h := dst[i*hashSize : (i+1)*hashSize]
		subtle.XORBytes(h, id.next[:], separate)
		id.block.Encrypt(h, h)
	}
}

// packetUserOf returns the user of the identity header of a datagram. It opens header in
// place.
func (c *Cipher) packetUserOf(header, separate []byte) (*user, error) {
	if c.identity == nil {
		return c.sole, nil
	}
	return c.identity.find(openPacketIdentity(c.identity.block, header, separate))
}

// openPacketIdentity opens the identity header of a datagram in place and returns the
// hash in it.
func openPacketIdentity(block cipher.Block, header, separate []byte) hash {
	block.Decrypt(header, header)
	subtle.XORBytes(header, header, separate)
	return hash(header)
}
