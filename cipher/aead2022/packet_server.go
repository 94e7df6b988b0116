package aead2022

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// packetServer opens the datagrams of clients.
type packetServer struct {
	cipher *Cipher
	block  cipher.Block // opens separate headers; nil without AES
}

var _ core.PacketServer = (*packetServer)(nil)

// minMain is the minimum size of a main header and its tag: that of a client, without
// padding, and with a name of one byte as the address.
const minMain = 1 + 8 + paddingLengthSize + 1 + 1 + 1 + 2 + tagSize

// NewPacketServer returns the server's side for datagrams. All servers of a Cipher share
// their sessions.
func (c *Cipher) NewPacketServer() (core.PacketServer, error) {
	if c.refusal != nil {
		return nil, c.refusal
	}
	if c.identity != nil {
		return &packetServer{c, c.identity.block}, nil
	}
	block, err := c.spec.blockOf(c.sole)
	return &packetServer{c, block}, err
}

// Roams returns true: a session is identified by its ID and may use any address.
func (*packetServer) Roams() bool { return true }

// Open opens a request. It records nothing before the whole datagram was authenticated and
// parsed.
func (s *packetServer) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	now := s.cipher.now()
	r, body, err := s.open(wire)
	if err != nil {
		return core.OpenedPacket{}, err
	}
	sent, rest, err := parseClientHeader(body, now)
	if err != nil {
		return core.OpenedPacket{}, core.Authenticated(err)
	}
	target, n, err := s.cipher.memo.Decode(rest)
	if err != nil {
		return core.OpenedPacket{}, core.Authenticated(badAddress(err))
	}
	if target.Port() == 0 {
		return core.OpenedPacket{}, core.Authenticated(fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target))
	}
	r.sent = sent
	session, err := s.cipher.sessions.add(s.cipher, r, now)
	if err != nil {
		s.cipher.alarm(r.user, err, now)
		return core.OpenedPacket{}, err
	}
	return core.OpenedPacket{Session: session, Target: target, Payload: rest[n:]}, nil
}

// alarm logs a refused session, once a minute.
func (c *Cipher) alarm(u *user, err error, now time.Time) {
	if c.log == nil || !errors.Is(err, core.ErrCrowded) {
		return
	}
	if count, say := c.crowded.Count(now); say {
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "UDP sessions refused that could be replays: raise remembered_sessions, or look for a client that begins too many",
			slog.Int("sessions", count), slog.String("user", u.Name))
	}
}

// open returns the main header and the bytes after it.
func (s *packetServer) open(wire []byte) (r received, body []byte, err error) {
	if s.block == nil {
		return s.openLong(wire)
	}
	at := separateSize + s.cipher.headerSize()
	if err := checkSize(wire, at+minMain); err != nil {
		return r, nil, err
	}
	separate := wire[:separateSize]
	s.block.Decrypt(separate, separate)
	r.sessionID, r.packetID = parseSeparate(separate)
	if r.user, err = s.cipher.packetUserOf(wire[separateSize:at], separate); err != nil {
		return r, nil, err
	}
	if r.aead, err = s.cipher.sessions.find(r); err != nil {
		return r, nil, err
	}
	if r.aead == nil {
		if r.aead, err = s.cipher.packetSession(r.user, r.sessionID); err != nil {
			return r, nil, err
		}
	}
	body, err = openSealed(r.aead, separate[separateNonce:], wire[at:])
	return r, body, err
}

// openLong is open without AES.
func (s *packetServer) openLong(wire []byte) (r received, body []byte, err error) {
	if err := checkSize(wire, longNonce+separateSize+minMain); err != nil {
		return r, nil, err
	}
	r.user = s.cipher.sole
	r.aead = r.user.long
	plain, err := openSealed(r.aead, wire[:longNonce], wire[longNonce:])
	if err != nil {
		return r, nil, err
	}
	r.sessionID, r.packetID = parseSeparate(plain)
	if _, err := s.cipher.sessions.find(r); err != nil {
		return r, nil, err
	}
	return r, plain[separateSize:], nil
}

// checkSize returns ErrShort for a datagram of less than n bytes.
func checkSize(wire []byte, n int) error {
	if len(wire) < n {
		return fmt.Errorf("%w: %d, want %d or more", core.ErrShort, len(wire), n)
	}
	return nil
}

// openSealed opens sealed in place.
func openSealed(aead cipher.AEAD, nonce, sealed []byte) ([]byte, error) {
	plain, err := aead.Open(sealed[:0], nonce, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("datagram of %d bytes: %w", len(sealed), core.ErrAuth)
	}
	return plain, nil
}

// replies seals the replies to a client's session during the lifetime of its association.
type replies struct {
	sealer
	user     *user
	grant    *core.Grant // of the user
	session  *session
	sessions *sessions
}

var _ core.GrantedSession = (*replies)(nil)

// newReplies returns the replies of a new association.
func (c *Cipher) newReplies(t *sessions, s *session, u *user) (*replies, error) {
	aead, err := c.packetSession(u, s.serverID)
	if err != nil {
		return nil, err
	}
	block, err := c.spec.blockOf(u)
	if err != nil {
		return nil, err
	}
	return &replies{
		sealer:  sealer{cipher: c, sessionID: s.serverID, next: &s.sent, aead: aead, block: block, isReply: true, clientID: s.id},
		user:    u,
		grant:   c.list.Grant(u.User),
		session: s, sessions: t,
	}, nil
}

// User returns the name of the user of the session, or "".
func (r *replies) User() string { return r.user.Name }

// Grant returns the grant of the user.
func (r *replies) Grant() *core.Grant { return r.grant }

// Close ends the association.
func (r *replies) Close() { r.sessions.close(r) }
