package aead2022

import (
	"crypto/cipher"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

// oldKept is the time for which the previous session of a server is remembered after its
// last valid datagram. No third session can begin during that time, so that datagrams of
// a forgotten session are too old to begin it again. See SIP022 §3.2.4.
const oldKept = 60 * time.Second

// packetClient is one client session. It seals requests, and opens the replies of the
// server's current session and of the previous one.
type packetClient struct {
	sealer
	own     cipher.Block  // opens the separate headers of replies; nil without AES
	packets atomic.Uint64 // counts requests

	mu           sync.Mutex
	current, old *serverSession // or nil; guarded by mu
	oldUsed      time.Time      // when old was replaced, or the time of its last valid datagram; guarded by mu
}

var _ core.PacketClient = (*packetClient)(nil)

// serverSession is a server's session in the client.
type serverSession struct {
	id     uint64
	aead   cipher.AEAD
	window replay.Window // guarded by packetClient.mu
}

// NewPacketClient returns a client session.
func (c *Cipher) NewPacketClient() (core.PacketClient, error) {
	if c.client.refusal != nil {
		return nil, c.client.refusal
	}
	return c.newPacketClient(newSessionID())
}

func (c *Cipher) newPacketClient(sessionID uint64) (*packetClient, error) {
	aead, err := c.packetSession(c.client.own, sessionID)
	if err != nil {
		return nil, err
	}
	own, err := c.spec.blockOf(c.client.own)
	if err != nil {
		return nil, err
	}
	p := &packetClient{own: own}
	p.sealer = sealer{cipher: c, sessionID: sessionID, next: &p.packets, aead: aead, block: own}
	if len(c.client.identities) > 0 {
		p.block = c.client.identities[0].block
	}
	return p, nil
}

// OpenPacket opens a reply.
func (p *packetClient) OpenPacket(wire []byte) (payload []byte, source core.Addr, err error) {
	now := p.cipher.now()
	s, packetID, body, err := p.open(wire, now)
	if err != nil {
		return nil, core.Addr{}, err
	}
	clientID, rest, err := parseServerHeader(body, now)
	if err != nil {
		return nil, core.Addr{}, core.Authenticated(err)
	}
	if clientID != p.sessionID {
		return nil, core.Addr{}, fmt.Errorf("reply to another session: %w", core.ErrAuth)
	}
	source, n, err := p.cipher.memo.Decode(rest)
	if err != nil {
		return nil, core.Addr{}, core.Authenticated(badAddress(err))
	}
	if err := p.add(s, packetID, now); err != nil {
		return nil, core.Addr{}, err
	}
	return rest[n:], source, nil
}

// open returns the main header and the bytes after it, and the session. A new session is
// not in p yet.
func (p *packetClient) open(wire []byte, now time.Time) (s *serverSession, packetID uint64, body []byte, err error) {
	if p.own == nil {
		return p.openLong(wire, now)
	}
	if err := checkSize(wire, separateSize+idSize+minMain); err != nil {
		return nil, 0, nil, err
	}
	separate := wire[:separateSize]
	p.own.Decrypt(separate, separate)
	id, packetID := parseSeparate(separate)
	if s, err = p.find(id, packetID, now); err != nil {
		return nil, 0, nil, err
	}
	body, err = openSealed(s.aead, separate[separateNonce:], wire[separateSize:])
	return s, packetID, body, err
}

// openLong is open without AES.
func (p *packetClient) openLong(wire []byte, now time.Time) (s *serverSession, packetID uint64, body []byte, err error) {
	if err := checkSize(wire, longNonce+separateSize+idSize+minMain); err != nil {
		return nil, 0, nil, err
	}
	plain, err := openSealed(p.aead, wire[:longNonce], wire[longNonce:])
	if err != nil {
		return nil, 0, nil, err
	}
	id, packetID := parseSeparate(plain)
	s, err = p.find(id, packetID, now)
	return s, packetID, plain[separateSize:], err
}

// find returns the server's session with an ID, or a new one. It returns ErrReplay if the
// session has received the datagram, and ErrCrowded if no other session is allowed now.
// It does not change p: the datagram may be forged.
func (p *packetClient) find(id, packetID uint64, now time.Time) (*serverSession, error) {
	p.mu.Lock()
	s := p.known(id)
	err := p.check(s, packetID, now)
	p.mu.Unlock()
	if s != nil || err != nil {
		return s, err
	}
	aead, err := p.cipher.packetSession(p.cipher.client.own, id)
	if err != nil {
		return nil, err
	}
	return &serverSession{id: id, aead: aead}, nil
}

// known returns the session with an ID, or nil. mu is held.
func (p *packetClient) known(id uint64) *serverSession {
	for _, s := range [...]*serverSession{p.current, p.old} {
		if s != nil && s.id == id {
			return s
		}
	}
	return nil
}

// check returns an error if a datagram of s must be refused; s is nil for an unknown
// session. mu is held.
func (p *packetClient) check(s *serverSession, packetID uint64, now time.Time) error {
	switch {
	case s != nil && s.window.Has(packetID):
		return core.ErrReplay
	case s == nil && p.old != nil && now.Sub(p.oldUsed) < oldKept:
		return fmt.Errorf("a third session of the server within %s: %w", oldKept, core.ErrCrowded)
	}
	return nil
}

// add records a datagram that was authenticated and parsed. Of equal concurrent datagrams
// one succeeds.
func (p *packetClient) add(s *serverSession, packetID uint64, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known(s.id)
	if err := p.check(known, packetID, now); err != nil {
		return err
	}
	switch {
	case known == nil:
		if p.current != nil {
			p.old, p.oldUsed = p.current, now
		}
		s.window = replay.NewWindow(windowSize)
		p.current, known = s, s
	case known == p.old:
		p.oldUsed = now
	}
	known.window.Add(packetID)
	return nil
}
