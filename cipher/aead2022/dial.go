package aead2022

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// DialStream sends
//
//	+------+------------------+-------------------+-----------------------+--------+-----
//	| salt | identity headers | fixed header, tag | variable header | tag | chunk  | …
//	+------+------------------+-------------------+-----------------------+--------+-----
//
// as the first flight: the headers and as much of payload as fits the buffer, or padding
// if payload is empty. See SIP022 §3.1 and SIP023.
func (c *Cipher) DialStream(target core.Addr, payload []byte, dial func(hello []byte) (core.Stream, error)) (core.Stream, error) {
	if c.client.refusal != nil {
		return nil, c.client.refusal
	}
	buf := netio.BorrowBuffer()
	defer buf.Return()
	salt := buf.B[:c.spec.KeySize]
	rand.Read(salt) // never fails
	var padding []byte
	if len(payload) == 0 {
		padding = c.zero[:1+mathrand.IntN(maxPadding)]
	}
	box, off, rest, err := c.putRequest(buf.B, target, padding, payload)
	if err != nil {
		return nil, err
	}
	read := c.readResponse(bytes.Clone(salt))
	wire, err := dial(buf.B[:off])
	if err != nil {
		return nil, err
	}
	s := chunk.NewStream(wire, read)
	s.StartWrite(box, sentPayload, chunk.Head{})
	if len(rest) > 0 {
		if _, err := s.Write(rest); err != nil {
			s.Close()
			return nil, core.Sent(err)
		}
	}
	return s, nil
}

// putRequest writes a first flight to b, which already starts with the salt. It returns
// the Box for the following chunks, the size of the flight in bytes, and the payload that
// did not fit.
func (c *Cipher) putRequest(b []byte, target core.Addr, padding, payload []byte) (chunk.Box, int, []byte, error) {
	off := c.spec.KeySize
	salt := b[:off]
	n, err := c.putIdentities(b[off:], salt)
	if err != nil {
		return chunk.Box{}, 0, nil, err
	}
	off += n
	aead, err := c.spec.session(c.client.own.psk, salt)
	if err != nil {
		return chunk.Box{}, 0, nil, err
	}
	box := chunk.NewBox(aead)

	fixed := b[off : off+requestHeaderSize]
	at := off + len(fixed) + tagSize
	variable, payload := box.FillChunk(appendAddressing(b[at:at], target, padding), payload, sentPayload)
	box.Seal(fixed[:0], appendRequestHeader(fixed[:0], c.now(), len(variable)))
	off = at + len(box.Seal(variable[:0], variable))
	off, payload = box.SealChunks(b, off, payload, sentPayload)
	return box, off, payload, nil
}

// readResponse returns the function that reads the start of a server's stream:
//
//	+------+-------------------+---------------+-------+-----
//	| salt | fixed header, tag | payload | tag | chunk | …
//	+------+-------------------+---------------+-------+-----
//
// See SIP022 §3.1.
func (c *Cipher) readResponse(requestSalt []byte) func(*chunk.Reader) error {
	return func(r *chunk.Reader) error {
		size := c.spec.KeySize
		head, err := r.Peek(size + responseHeaderSize(size) + tagSize)
		if err != nil {
			return err
		}
		aead, err := c.spec.session(c.client.own.psk, head[:size])
		if err != nil {
			return err
		}
		box := chunk.NewBox(aead)
		plain, err := box.Open(nil, head[size:])
		if err != nil {
			return fmt.Errorf("response header: %w", core.ErrAuth)
		}
		now := c.now()
		c.offsets.observe(plain, now)
		length, err := parseResponseHeader(plain, now, requestSalt)
		switch {
		case errors.Is(err, core.ErrAuth): // an attacker can replay the response to another request
			return err
		case err != nil:
			return core.Authenticated(err)
		}
		r.Skip(len(head))
		r.Start(box, maxPayload, length)
		return nil
	}
}
