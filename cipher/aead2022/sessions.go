package aead2022

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

const (
	// maxSessions bounds the sessions that a server remembers. One takes about 580
	// bytes, and with AES 1600 more while its association lasts.
	maxSessions = 1 << 16
	// sessionKept is for how long one is remembered after its last good datagram, at
	// the least, so that no datagram of it can begin it anew; see saltsKept.
	sessionKept = saltsKept
	// windowSize is how many packetIDs back a datagram may come late.
	windowSize = 2048
)

// session is a client's session as a server remembers it: for as long as its
// datagrams could be replayed. Its replies have one sessionID and one count of
// packets for all that time, so that no nonce comes twice, and so that a client,
// which allows few changes, sees none.
type session struct {
	id       uint64
	owner    hash // of the user's key
	serverID uint64
	sent     atomic.Uint64 // replies

	// Guarded by sessions.mu.
	window  replay.Window
	aead    cipher.AEAD // opens its datagrams; nil while it has no association
	replies *replies    // of its association, or nil
	used    time.Time   // when the last good datagram came
	until   time.Time   // the last instant at which one that came is good, by the wall clock

	noted   uint64 // the highest packetID that a journal has
	isNoted bool
}

// sessions is the bounded set of a server's sessions. It is kept over a reload.
type sessions struct {
	method string
	key    []byte // that all clients have in common
	max    int

	// Guarded by mu: the sessions with an association, in the order of their last good
	// datagrams, and those without, in the order in which they lost theirs.
	mu           sync.Mutex
	live, closed *sessionList
}

// sessionList is sessions by ID. It has no bound of its own: the bound is on both lists
// together.
type sessionList = simplelru.LRU[uint64, *session]

func newSessionList() *sessionList {
	l, err := simplelru.NewLRU[uint64, *session](math.MaxInt, nil)
	if err != nil {
		panic(err) // it is for a bound below 1 alone
	}
	return l
}

func newSessions(method string, key []byte, most int) *sessions {
	return &sessions{method: method, key: key, max: most, live: newSessionList(), closed: newSessionList()}
}

// get returns a session, or nil. mu is held.
func (t *sessions) get(id uint64) *session {
	if s, ok := t.live.Peek(id); ok {
		return s
	}
	s, _ := t.closed.Peek(id)
	return s
}

// isFor reports whether t holds the sessions of that method and key.
func (t *sessions) isFor(method string, key []byte) bool {
	return t.method == method && bytes.Equal(t.key, key)
}

// received is a datagram that a server is opening.
type received struct {
	sessionID, packetID uint64
	user                *user
	aead                cipher.AEAD
	sent                time.Time
}

// find returns the AEAD of the session that a datagram says it is of, or nil if it
// has none. It returns ErrReplay if the session has had it, and ErrAuth if the
// session is another user's. It changes nothing: the datagram may be forged.
func (t *sessions) find(r received) (cipher.AEAD, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(r.sessionID)
	if s == nil {
		return nil, nil
	}
	return s.aead, s.check(r)
}

func (s *session) check(r received) error {
	if s.owner != r.user.hash {
		return fmt.Errorf("session of another user: %w", core.ErrAuth)
	}
	if s.window.Has(r.packetID) {
		return core.ErrReplay
	}
	return nil
}

// take takes a datagram that was found to be good and returns the replies of its
// association, a new one if need be. Of two equal ones at the same instant it takes
// one.
func (t *sessions) take(c *Cipher, r received, now time.Time) (*replies, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(r.sessionID)
	if s != nil {
		if err := s.check(r); err != nil {
			return nil, err
		}
	} else {
		s = &session{id: r.sessionID, owner: r.user.hash, serverID: newSessionID(), window: replay.NewWindow(windowSize)}
	}
	if s.replies == nil {
		made, err := c.newReplies(t, s, r.user)
		if err != nil {
			return nil, err
		}
		t.open(s, made, r.aead, now)
	}
	s.window.Add(r.packetID)
	s.used = now
	if until := r.sent.Add(timeGuard); until.After(s.until) {
		s.until = until
	}
	t.live.Get(s.id) // makes it the last one
	return s.replies, nil
}

// open puts s among the live sessions, with its association.
func (t *sessions) open(s *session, made *replies, aead cipher.AEAD, now time.Time) {
	if !t.closed.Remove(s.id) {
		t.makeRoom(now)
	}
	t.live.Add(s.id, s)
	s.replies, s.aead = made, aead
}

// makeRoom forgets the sessions that can't be replayed any more, and, if there are
// too many still, the one that has been unused for longest, best one without an
// association.
func (t *sessions) makeRoom(now time.Time) {
	for {
		_, s, ok := t.closed.GetOldest()
		if !ok || !s.isOver(now) {
			break
		}
		t.closed.RemoveOldest()
	}
	if t.closed.Len()+t.live.Len() < t.max {
		return
	}
	if _, _, ok := t.closed.RemoveOldest(); ok {
		return
	}
	if _, s, ok := t.live.RemoveOldest(); ok {
		s.replies = nil
	}
}

// isOver reports whether none of the session's datagrams is good any more, by both
// clocks; see replay.Timed.
func (s *session) isOver(now time.Time) bool {
	return now.Sub(s.used) >= sessionKept && now.Round(0).After(s.until)
}

// close ends an association. Only what tells replays apart stays.
func (t *sessions) close(r *replies) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := r.session
	if s.replies != r {
		return // closed before, or forgotten
	}
	t.live.Remove(s.id)
	t.closed.Add(s.id, s)
	s.replies, s.aead = nil, nil
}

// len returns how many sessions there are, and how many have an association.
func (t *sessions) len() (all, live int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live.Len() + t.closed.Len(), t.live.Len()
}
