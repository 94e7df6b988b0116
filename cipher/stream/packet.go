package stream

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

// packets encrypts datagrams, in both roles: each is
//
//	+----+------------------------------+
//	| IV | address, payload (encrypted) |
//	+----+------------------------------+
//
// The address is the target of a request and the source of a reply. The method
// knows no sessions, so one packets stands for all clients of a key.
type packets struct {
	cipher *Cipher
	seen   *replay.Digests // IVs of a server's requests and replies
	memo   core.AddrMemo
}

var (
	_ core.PacketCipher  = (*Cipher)(nil)
	_ core.PacketServer  = packetServer{}
	_ core.PacketSession = (*packets)(nil)
	_ core.PacketClient  = packetClient{}
)

// isFor reports whether p encrypts under that method and key.
func (p *packets) isFor(method string, key []byte) bool {
	return p.cipher.spec.Method == method && bytes.Equal(p.cipher.key, key)
}

// NewPacketServer returns what opens requests. Where the method has an IV, it
// refuses those that it has seen among the last 262,144 datagrams at the least,
// its own replies too: a recording of one makes no request.
func (c *Cipher) NewPacketServer() (core.PacketServer, error) { return packetServer{c}, nil }

// NewPacketClient returns what encrypts the datagrams of one client.
func (c *Cipher) NewPacketClient() (core.PacketClient, error) {
	return packetClient{c.packets}, nil
}

// Overhead returns how many bytes a datagram has beyond its payload.
func (p *packets) Overhead(addr core.Addr) int {
	return p.cipher.spec.IVSize + core.AddrLen(addr)
}

// AppendPacket encrypts a reply.
func (p *packets) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	at := len(dst)
	out, err := p.seal(dst, payload, source)
	if size := p.cipher.spec.IVSize; err == nil && size > 0 {
		p.seen.Add(out[at : at+size])
	}
	return out, err
}

func (p *packets) seal(dst, payload []byte, addr core.Addr) ([]byte, error) {
	at, size := len(dst), p.cipher.spec.IVSize
	var room [replay.MaxSalt]byte
	out := append(dst, room[:size]...)
	keys, err := p.cipher.newKeys(out[at:])
	if err != nil {
		return dst, err
	}
	out = core.AppendAddr(out, addr)
	out = append(out, payload...)
	if err := keys.apply(out[at+size:], out[at+size:]); err != nil {
		return dst, err
	}
	return out, nil
}

// open opens a datagram in place.
func (p *packets) open(wire []byte) (iv []byte, addr core.Addr, payload []byte, err error) {
	size := p.cipher.spec.IVSize
	if len(wire) <= size {
		return nil, core.Addr{}, nil, fmt.Errorf("%w: %d, want more than %d", core.ErrShort, len(wire), size)
	}
	iv, plain := wire[:size], wire[size:]
	keys, err := p.cipher.begin(iv, Decrypt)
	if err == nil {
		err = keys.apply(plain, plain)
	}
	if err != nil {
		return nil, core.Addr{}, nil, err
	}
	addr, n, err := p.memo.Decode(plain)
	if err != nil { // which proves nothing: anybody's bytes decrypt to something
		return nil, core.Addr{}, nil, fmt.Errorf("%w: no address: %v", core.ErrAuth, err)
	}
	return iv, addr, plain[n:], nil
}

// packetServer opens the datagrams of a server.
type packetServer struct{ cipher *Cipher }

// Open opens a request. Only what may be one can burn its IV.
func (s packetServer) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	p := s.cipher.packets
	iv, target, payload, err := p.open(wire)
	switch {
	case err != nil:
		return core.OpenedPacket{}, err
	case target.Port() == 0:
		return core.OpenedPacket{}, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target)
	case len(iv) > 0 && !p.seen.Add(iv):
		return core.OpenedPacket{}, core.ErrReplay
	}
	return core.OpenedPacket{Session: p, Target: target, Payload: payload}, nil
}

// Roams returns false: a client is known by its address.
func (packetServer) Roams() bool { return false }

// User returns "".
func (*packets) User() string { return "" }

// Close does nothing: the session is that of all clients.
func (*packets) Close() {}

// packetClient is packets in the role of a client, which may get what it has
// seen: only a server acts on it.
type packetClient struct{ packets *packets }

// Overhead returns how many bytes a datagram has beyond its payload.
func (c packetClient) Overhead(target core.Addr) int { return c.packets.Overhead(target) }

// AppendPacket encrypts a request.
func (c packetClient) AppendPacket(dst, payload []byte, target core.Addr) ([]byte, error) {
	return c.packets.seal(dst, payload, target)
}

// OpenPacket opens a reply.
func (c packetClient) OpenPacket(wire []byte) (payload []byte, source core.Addr, err error) {
	_, source, payload, err = c.packets.open(wire)
	return payload, source, err
}
