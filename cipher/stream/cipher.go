package stream

import (
	"crypto/rand"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// Cipher is a method with its key. It is safe for concurrent use.
type Cipher struct {
	spec  Spec
	key   []byte
	start Start // nil for a method without encryption
	salts *replay.Salts

	packets *packets
}

// Method returns the name of the method.
func (c *Cipher) Method() string { return c.spec.Method }

// Derive fills out with bytes derived from the key and the label; see key.Derive.
func (c *Cipher) Derive(label string, out []byte) { key.Derive(c.key, label, out) }

// DialStream sends
//
//	+----+---------------------------------+
//	| IV | address, payload … (encrypted)  |
//	+----+---------------------------------+
//
// as the first flight: the address and as much of payload as fits the buffer. If the
// method has no encryption, the stream is the wire itself.
func (c *Cipher) DialStream(target core.Addr, payload []byte, dial func(hello []byte) (core.Stream, error)) (core.Stream, error) {
	buf := netio.BorrowBuffer()
	defer buf.Return()
	iv := buf.B[:c.spec.IVSize]
	keys, err := c.newKeys(iv)
	if err != nil {
		return nil, err
	}
	size := len(socksaddr.Append(iv, target))
	n := copy(buf.B[size:], payload)
	hello := buf.B[:size+n]
	if err := keys.apply(hello[len(iv):], hello[len(iv):]); err != nil {
		return nil, err
	}
	wire, err := dial(hello)
	if err != nil {
		return nil, err
	}
	s := wire
	if c.start != nil {
		s = newConn(wire, c, keys, nil)
	}
	if payload = payload[n:]; len(payload) > 0 {
		if _, err := s.Write(payload); err != nil {
			s.Close()
			return nil, core.Sent(err)
		}
	}
	return s, nil
}

// newKeys fills iv with random bytes and returns the keystream for sending.
func (c *Cipher) newKeys(iv []byte) (keystream, error) {
	rand.Read(iv) // never fails
	return c.begin(iv, Encrypt)
}

// AcceptStream reads what DialStream sends until the address is complete. All bytes
// received after it are the first payload.
func (c *Cipher) AcceptStream(conn core.Stream, from core.Caller) (core.Accepted, error) {
	a := &accept{cipher: c, wire: conn, waits: from.Waits}
	if err := a.run(); err != nil {
		return core.Accepted{Payload: a.raw}, err
	}
	return core.Accepted{Stream: a.stream, Target: a.target, Payload: a.payload, Unproven: true}, nil
}
