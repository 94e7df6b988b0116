package aead

import (
	"crypto/cipher"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

const (
	tagSize    = 16
	maxPayload = 0x3FFF // SIP004 §2: the two high bits of a length are reserved
	lengthSize = 2
	headSize   = lengthSize + tagSize
)

// Cipher is a method with its keys. It is safe for concurrent use.
type Cipher struct {
	name string // in figures
	spec Spec
	own  *user          // the key of a client or of a server without users; nil if only users are configured
	zero [maxNonce]byte // the nonce of datagrams; never modified

	users      atomic.Pointer[served] // the users of a server; nil if own is the only key
	list       *users.List            // the source of users; nil if they don't change
	retired    atomic.Bool            // Retire was called
	searches   *searches              // limits searches for a user
	log        *slog.Logger           // nil for none
	memory     *memory                // kept by the process, as are salts; nil until the cipher serves
	ownPackets *packets               // of own; in memory

	salts    *replay.Salts
	journal  *replay.Journal // of salts; nil without a replay_file
	secret   []byte          // the input key of Derive
	patience time.Duration   // how long a server reads on after an invalid request

	unsearched core.Alarm // for datagrams that were dropped without a search
}

var (
	_ core.PacketCipher = (*Cipher)(nil)
	_ core.Runner       = (*Cipher)(nil)
	_ core.Retirer      = (*Cipher)(nil)
)

// Method returns the name of the method.
func (c *Cipher) Method() string { return c.spec.Method }

// Derive fills out with bytes derived from the key and the label; see key.Derive.
func (c *Cipher) Derive(label string, out []byte) { key.Derive(c.secret, label, out) }

// DialStream sends
//
//	+------+-------------+--------------------------+-----
//	| salt | length, tag | address, payload   | tag | …
//	+------+-------------+--------------------------+-----
//
// as the first flight: the address and as much of payload as fits the buffer.
func (c *Cipher) DialStream(target core.Addr, payload []byte, dial func(hello []byte) (core.Stream, error)) (core.Stream, error) {
	if c.own == nil {
		return nil, errNoClient
	}
	buf := netio.BorrowBuffer()
	defer buf.Return()
	salt := buf.B[:c.spec.KeySize]
	box, err := c.newBox(c.own, salt)
	if err != nil {
		return nil, err
	}
	off := len(salt)
	plain := socksaddr.Append(buf.B[off+headSize:off+headSize], target)
	plain, payload = box.FillChunk(plain, payload, maxPayload)
	off, payload = box.SealChunks(buf.B, box.SealChunk(buf.B, off, plain), payload, maxPayload)
	wire, err := dial(buf.B[:off])
	if err != nil {
		return nil, err
	}
	s := chunk.NewStream(wire, c.readSalt)
	s.StartWrite(box, maxPayload, chunk.Head{})
	if len(payload) > 0 {
		if _, err := s.Write(payload); err != nil {
			s.Close()
			return nil, core.Sent(err)
		}
	}
	return s, nil
}

// readSalt reads the salt of a server's stream and starts opening its chunks.
func (c *Cipher) readSalt(r *chunk.Reader) error {
	salt, err := r.Peek(c.spec.KeySize)
	if err != nil {
		return err
	}
	aead, err := c.spec.session(c.own.key, salt)
	if err != nil {
		return err
	}
	r.Skip(len(salt))
	r.Start(chunk.NewBox(aead), maxPayload, 0)
	return nil
}

// addSalt records a salt as received and reports whether it was new.
func (c *Cipher) addSalt(salt []byte) bool {
	if !c.salts.Add(salt) {
		return false
	}
	c.journal.Note(replay.Record{Kind: streamSalt, Data: salt})
	return true
}

// streamSalt is the Record kind of salts in the journal.
const streamSalt = 1

// newBox fills salt with random bytes and returns the Box of its session.
func (c *Cipher) newBox(u *user, salt []byte) (chunk.Box, error) {
	rand.Read(salt) // never fails
	aead, err := c.spec.session(u.key, salt)
	return chunk.NewBox(aead), err
}

// session returns the AEAD of one direction of one stream, or of one datagram.
func (s Spec) session(k, salt []byte) (cipher.AEAD, error) { return s.New(key.Session(k, salt)) }

// LeastRequest returns the size of the salt and the first sealed length.
func (c *Cipher) LeastRequest() int { return c.spec.KeySize + headSize }

// AcceptStream reads
//
//	salt | chunk | …
//
// until the address at the beginning of the plaintext is complete. The rest of that
// chunk is the first payload.
func (c *Cipher) AcceptStream(conn core.Stream, from core.Caller) (core.Accepted, error) {
	s := chunk.NewStream(conn, nil)
	s.Waits = from.Waits
	a := &accept{cipher: c, reader: &s.Reader, from: from}
	target, payload, err := a.run()
	if err == nil {
		err = c.startReply(s, a.user)
	}
	if err != nil {
		raw := append([]byte(nil), s.Buffered()...)
		s.Discard()
		return core.Accepted{Payload: raw}, err
	}
	served := chunk.Served{Stream: s, Patience: c.patience}
	return core.Accepted{Stream: served, Target: target, User: a.user.Name, Payload: payload, Grant: c.grantOf(a.user), Once: core.Once{ID: a.salt}}, nil
}

// startReply makes the stream send a new salt with its first bytes. The salt counts as
// received, so that the server's reply can't be replayed to it as a request.
func (c *Cipher) startReply(s *chunk.Stream, u *user) error {
	salt := make([]byte, c.spec.KeySize)
	box, err := c.newBox(u, salt)
	if err != nil {
		return err
	}
	c.addSalt(salt)
	s.StartWrite(box, maxPayload, chunk.Head{
		Size: len(salt) + headSize,
		Put: func(dst []byte, box *chunk.Box, length int) {
			box.SealLength(dst[copy(dst, salt):], length)
		},
	})
	return nil
}
