package aead

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// packets protects datagrams in both roles. Each datagram is
//
//	+------+---------------------------+-----+
//	| salt | address, payload (sealed) | tag |
//	+------+---------------------------+-----+
//
// under a separate subkey and nonce 0. The address is the target of a request and the
// source of a reply. See SIP004 §3. The method has no sessions, so one packets value
// serves all clients with the same key.
type packets struct {
	spec  Spec
	user  *user
	grant atomic.Pointer[core.Grant]
	zero  [maxNonce]byte  // the nonce; never modified
	seen  *replay.Digests // salts of a server's requests and replies
	memo  *socksaddr.Memo
}

var (
	_ core.PacketServer   = ownPackets{}
	_ core.GrantedSession = (*packets)(nil)
	_ core.PacketClient   = packetClient{}
)

// NewPacketServer returns the server's side for datagrams. It refuses datagrams that are
// among the last 262,144 received or sent: the server's replies count, because a
// recorded reply must not be accepted as a request.
func (c *Cipher) NewPacketServer() (core.PacketServer, error) {
	if c.users.Load() != nil {
		return manyPackets{c}, nil
	}
	return ownPackets{c}, nil
}

// NewPacketClient returns the client's side for datagrams.
func (c *Cipher) NewPacketClient() (core.PacketClient, error) {
	if c.own == nil {
		return nil, errNoClient
	}
	return packetClient{c.ownPackets}, nil
}

// Overhead returns the size of a datagram without its payload.
func (p *packets) Overhead(addr core.Addr) int {
	return p.spec.KeySize + socksaddr.Len(addr) + tagSize
}

// AppendPacket seals a reply.
func (p *packets) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	at := len(dst)
	out, err := p.seal(dst, payload, source)
	if err == nil {
		p.seen.Add(out[at : at+p.spec.KeySize])
	}
	return out, err
}

func (p *packets) seal(dst, payload []byte, addr core.Addr) ([]byte, error) {
	at, size := len(dst), p.spec.KeySize
	var room [replay.MaxSalt]byte
	out := append(dst, room[:size]...)
	salt := out[at:]
	rand.Read(salt) // never fails
	aead, err := p.spec.session(p.user.key, salt)
	if err != nil {
		return dst, err
	}
	out = socksaddr.Append(out, addr)
	out = append(out, payload...)
	return aead.Seal(out[:at+size], p.zero[:aead.NonceSize()], out[at+size:], nil), nil
}

// open opens a datagram in place.
func (p *packets) open(wire []byte) (salt []byte, addr core.Addr, payload []byte, err error) {
	if err := p.spec.checkSize(wire); err != nil {
		return nil, core.Addr{}, nil, err
	}
	salt = wire[:p.spec.KeySize]
	plain, err := p.spec.unseal(wire[len(salt):len(salt)], wire, p.user.key, &p.zero)
	if err != nil {
		return nil, core.Addr{}, nil, forged(wire, err)
	}
	addr, payload, err = p.parse(plain)
	return salt, addr, payload, err
}

// checkSize returns ErrShort for a datagram that is too short.
func (s Spec) checkSize(wire []byte) error {
	if least := s.KeySize + tagSize; len(wire) < least {
		return fmt.Errorf("%w: %d, want %d or more", core.ErrShort, len(wire), least)
	}
	return nil
}

// forged returns the error for a datagram that can't be opened.
func forged(wire []byte, err error) error {
	return fmt.Errorf("datagram of %d bytes: %w", len(wire), err)
}

// unseal appends the plaintext of a datagram under the key k to dst. zero is a nonce of
// zeros. The error is an ErrAuth and is not wrapped, to save the allocation: most trials with
// many users fail.
func (s Spec) unseal(dst, wire, k []byte, zero *[maxNonce]byte) ([]byte, error) {
	size := s.KeySize
	aead, err := s.session(k, wire[:size])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(dst, zero[:aead.NonceSize()], wire[size:], nil)
	if err != nil {
		return nil, core.ErrAuth
	}
	return plain, nil
}

// parse returns the address and the payload of a plaintext.
func (p *packets) parse(plain []byte) (core.Addr, []byte, error) {
	addr, n, err := p.memo.Decode(plain)
	if err != nil {
		return core.Addr{}, nil, core.Authenticated(fmt.Errorf("address: %w", malformed(err)))
	}
	return addr, plain[n:], nil
}

// malformed converts the error of an incomplete address to ErrMalformed, because a
// datagram has no continuation.
func malformed(err error) error { return fmt.Errorf("%w: %w", core.ErrMalformed, err) }

// ownPackets opens the datagrams of a server without users.
type ownPackets struct{ cipher *Cipher }

// Open opens a request.
func (o ownPackets) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	p := o.cipher.ownPackets
	salt, target, payload, err := p.open(wire)
	if err != nil {
		return core.OpenedPacket{}, err
	}
	return p.opened(salt, target, payload)
}

// opened returns a request if its salt is new.
func (p *packets) opened(salt []byte, target core.Addr, payload []byte) (core.OpenedPacket, error) {
	if !p.seen.Add(salt) {
		return core.OpenedPacket{}, core.ErrReplay
	}
	if target.Port() == 0 {
		return core.OpenedPacket{}, core.Authenticated(fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target))
	}
	return core.OpenedPacket{Session: p, Target: target, Payload: payload}, nil
}

// Roams returns false: a client is identified by its address.
func (ownPackets) Roams() bool { return false }

// User returns the name of the user of the key, or "".
func (p *packets) User() string { return p.user.Name }

// Grant returns the grant of the user.
func (p *packets) Grant() *core.Grant { return p.grant.Load() }

// Close does nothing: the session is shared by all clients.
func (*packets) Close() {}

// packetClient is packets in the role of a client. It does not refuse replays: only a
// server acts on a request.
type packetClient struct{ packets *packets }

// Overhead returns the size of a datagram without its payload.
func (c packetClient) Overhead(target core.Addr) int { return c.packets.Overhead(target) }

// AppendPacket seals a request.
func (c packetClient) AppendPacket(dst, payload []byte, target core.Addr) ([]byte, error) {
	return c.packets.seal(dst, payload, target)
}

// OpenPacket opens a reply.
func (c packetClient) OpenPacket(wire []byte) (payload []byte, source core.Addr, err error) {
	_, source, payload, err = c.packets.open(wire)
	return payload, source, err
}
