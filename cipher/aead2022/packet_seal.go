package aead2022

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

const (
	dnsPort = 53
	// roomyDatagram is the maximum size in bytes of a datagram on a path with an MTU of
	// 1500, without the headers of IPv6 and UDP. Padding does not exceed it.
	roomyDatagram = 1500 - 40 - 8
	// separateNonce is the offset of the nonce in a separate header: the last 12 bytes.
	separateNonce = separateSize - nonceSize
)

// sealer seals the datagrams of one session of a client or a server. With AES a datagram
// is
//
//	+-------------------+------------------+------------------------+-----+
//	| AES(key, separate | identity headers | main header, payload   | tag |
//	|      header)      |    of a client   |        (sealed)        |     |
//	|        16B        |     16B each     |                        | 16B |
//	+-------------------+------------------+------------------------+-----+
//
// under the session's subkey, with the last 12 bytes of the separate header as the nonce.
// Without AES a datagram is
//
//	+-------+----------------------------------------------+-----+
//	| nonce | separate header, main header, payload (sealed) | tag |
//	|  24B  |                                              | 16B |
//	+-------+----------------------------------------------+-----+
//
// under the key itself. See SIP022 §3.2 and §4.1, and SIP023. A sealer is safe for
// concurrent use.
type sealer struct {
	cipher    *Cipher
	sessionID uint64
	// next is the next packetID. It can't wrap around: at 10⁹ datagrams per second that
	// takes 584 years.
	next     *atomic.Uint64
	aead     cipher.AEAD
	block    cipher.Block // seals separate headers; nil without AES
	isReply  bool         // the session belongs to a server
	clientID uint64       // the client session of the replies
}

// fixedSize returns the size of a datagram without padding, address and payload.
func (s *sealer) fixedSize() int {
	n := separateSize + 1 + 8 + paddingLengthSize + tagSize
	if s.block == nil {
		n += longNonce
	}
	if s.isReply {
		return n + idSize
	}
	return n + hashSize*len(s.cipher.client.identities)
}

// Overhead returns the maximum size of a datagram to or from addr without its payload.
func (s *sealer) Overhead(addr core.Addr) int {
	n := s.fixedSize() + socksaddr.Len(addr)
	if addr.Port() == dnsPort {
		n += maxPadding
	}
	return n
}

// AppendPacket appends the sealed form of a datagram to or from addr to dst.
func (s *sealer) AppendPacket(dst, payload []byte, addr core.Addr) ([]byte, error) {
	return s.appendPadded(dst, payload, addr, s.cipher.zero[:s.padding(len(payload), addr)]), nil
}

// padding returns the number of padding bytes of a datagram: a random number for DNS,
// whose datagram sizes reveal the question, limited by the room in the datagram.
func (s *sealer) padding(size int, addr core.Addr) int {
	if addr.Port() != dnsPort {
		return 0
	}
	room := min(maxPadding, roomyDatagram-s.fixedSize()-socksaddr.Len(addr)-size)
	if room < 1 {
		return 0
	}
	return 1 + mathrand.IntN(room)
}

func (s *sealer) appendPadded(dst, payload []byte, addr core.Addr, padding []byte) []byte {
	dst = slices.Grow(dst, s.fixedSize()+len(padding)+socksaddr.Len(addr)+len(payload))
	packetID := s.next.Add(1) - 1
	if s.block == nil {
		return s.appendLong(dst, packetID, payload, addr, padding)
	}
	start := len(dst)
	out := appendSeparate(dst, s.sessionID, packetID)
	separate := out[start:]
	if !s.isReply {
		at := len(out)
		out = out[:at+hashSize*len(s.cipher.client.identities)]
		s.cipher.putPacketIdentities(out[at:], separate)
	}
	at := len(out)
	out = s.appendMain(out, payload, addr, padding)
	out = s.aead.Seal(out[:at], separate[separateNonce:], out[at:], nil)
	s.block.Encrypt(separate, separate)
	return out
}

// appendLong is appendPadded without AES.
func (s *sealer) appendLong(dst []byte, packetID uint64, payload []byte, addr core.Addr, padding []byte) []byte {
	at := len(dst) + longNonce
	nonce := dst[len(dst):at]
	rand.Read(nonce) // never fails
	out := appendSeparate(dst[:at], s.sessionID, packetID)
	out = s.appendMain(out, payload, addr, padding)
	return s.aead.Seal(out[:at], nonce, out[at:], nil)
}

// appendMain appends the main header and the payload.
func (s *sealer) appendMain(b, payload []byte, addr core.Addr, padding []byte) []byte {
	if s.isReply {
		b = appendServerHeader(b, s.cipher.now(), s.clientID, padding)
	} else {
		b = appendClientHeader(b, s.cipher.now(), padding)
	}
	return append(socksaddr.Append(b, addr), payload...)
}

// newSessionID returns a random session ID.
func newSessionID() uint64 {
	var b [idSize]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// packetSession returns the AEAD for the datagrams of a session: that of a subkey, or,
// without AES, that of the key itself.
func (c *Cipher) packetSession(u *user, sessionID uint64) (cipher.AEAD, error) {
	if u.long != nil {
		return u.long, nil
	}
	var b [idSize]byte
	binary.BigEndian.PutUint64(b[:], sessionID)
	return c.spec.session(u.psk, b[:])
}
