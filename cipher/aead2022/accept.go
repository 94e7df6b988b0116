package aead2022

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// AcceptStream reads what DialStream sends, in segments of any size. SIP022 §3.1 requires
// a server to refuse a fixed header that does not arrive in one read. That would reveal
// the server to a prober after its first byte, so AcceptStream does not.
func (c *Cipher) AcceptStream(conn core.Stream, from core.Caller) (core.Accepted, error) {
	s := chunk.NewStream(conn, nil)
	s.Waits = from.Waits
	a := &accept{cipher: c, reader: &s.Reader}
	target, payload, err := a.run()
	if err == nil {
		salt := make([]byte, c.spec.KeySize)
		rand.Read(salt) // never fails
		err = c.startReply(s, a.user, salt, a.salt)
	}
	if err != nil {
		raw := append([]byte(nil), s.Buffered()...)
		s.Discard()
		return core.Accepted{Payload: raw}, err
	}
	served := chunk.Served{Stream: s, Patience: c.patience}
	return core.Accepted{Stream: served, Target: target, User: a.user.Name, Payload: payload, Grant: c.list.Grant(a.user.User), Once: core.Once{ID: a.salt, Until: a.until}}, nil
}

// LeastRequest returns the size of everything up to the fixed-length header.
func (c *Cipher) LeastRequest() int {
	return c.spec.KeySize + c.headerSize() + requestHeaderSize + tagSize
}

// startReply makes the stream send salt and the response header together with its first
// payload, and nothing before. It keeps both salts.
func (c *Cipher) startReply(s *chunk.Stream, u *user, salt, requestSalt []byte) error {
	aead, err := c.spec.session(u.psk, salt)
	if err != nil {
		return err
	}
	s.StartWrite(chunk.NewBox(aead), sentPayload, chunk.Head{
		Size: len(salt) + responseHeaderSize(len(requestSalt)) + tagSize,
		Put: func(dst []byte, box *chunk.Box, length int) {
			header := dst[copy(dst, salt):][:0]
			box.Seal(header, appendResponseHeader(header, c.now(), requestSalt, length))
		},
	})
	return nil
}

// accept reads one request. It opens chunks into scratch, not in place, so that the bytes
// of an invalid request can be returned unchanged.
type accept struct {
	cipher *Cipher
	reader *chunk.Reader
	box    chunk.Box
	user   *user
	salt   []byte    // a copy of the request's salt
	until  time.Time // the request is too old after this time
}

// run returns the target and the first payload, which is valid until the reader is used
// again. It leaves the reader at the next chunk.
func (a *accept) run() (core.Addr, []byte, error) {
	if a.cipher.refusal != nil {
		return core.Addr{}, nil, a.cipher.refusal
	}
	off, length, err := a.openFixed()
	if err != nil {
		return core.Addr{}, nil, err
	}
	wire := off + length + tagSize
	whole, err := a.reader.Await(wire)
	if err != nil {
		return core.Addr{}, nil, err
	}
	scratch := netio.BorrowBuffer()
	defer scratch.Return()
	plain := scratch.B[:0]
	if length > cap(plain) {
		plain = make([]byte, 0, length) // buffers are small while many are borrowed
	}
	if plain, err = a.box.OpenPayload(plain, whole[off:]); err != nil {
		return core.Addr{}, nil, err
	}
	target, payload, err := parseAddressing(plain)
	if err != nil {
		return core.Addr{}, nil, core.Authenticated(err)
	}
	a.reader.Start(a.box, maxPayload, 0)
	return target, a.reader.SkipFor(wire, payload), nil
}

// openFixed opens the fixed-length header. It waits for all of it before it computes
// anything. It returns the offset and the length of the variable-length header.
//
// The salt is added to the set after all checks of the header, and before the request
// has an effect: an attacker without the key can't invalidate a salt, and of equal
// concurrent requests one is served.
func (a *accept) openFixed() (off, length int, err error) {
	c := a.cipher
	identity := c.spec.KeySize
	fixed := identity + c.headerSize()
	off = c.LeastRequest()
	head, err := a.reader.Await(off)
	if err != nil {
		return 0, 0, err
	}
	a.salt = append([]byte(nil), head[:identity]...)
	if a.user, err = c.userOf(a.salt, head[identity:fixed]); err != nil {
		return 0, 0, err
	}
	aead, err := c.spec.session(a.user.psk, a.salt)
	if err != nil {
		return 0, 0, err
	}
	a.box = chunk.NewBox(aead)
	plain, err := a.box.Open(nil, head[fixed:])
	if err != nil {
		return 0, 0, fmt.Errorf("request header: %w", core.ErrAuth)
	}
	now := c.now()
	c.offsets.observe(plain, now)
	sent, length, err := parseRequestHeader(plain, now)
	if err != nil {
		return 0, 0, core.Authenticated(err)
	}
	a.until = sent.Add(timeGuard)
	if !c.salts.Add(a.salt, a.until, now) {
		return 0, 0, core.ErrReplay
	}
	c.journal.Note(replay.Record{Kind: streamSalt, Until: a.until, Data: a.salt})
	a.reader.Waits = nil
	return off, length, nil
}
