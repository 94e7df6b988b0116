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
	// maxSessions is the maximum number of sessions that a server remembers. A session
	// takes about 580 bytes, and with AES 1600 more during its association.
	maxSessions = 1 << 16
	// sessionKept is the minimum time for which a session is remembered after its last
	// valid datagram, so that none of its datagrams can begin it again; see saltsKept.
	sessionKept = saltsKept
	// windowSize is the size of the replay window in packetIDs: a datagram may be up to 2047
	// packetIDs late.
	windowSize = 2048
)

// session is a client's session in the server. It is kept as long as its datagrams could
// be replayed. Its replies use one sessionID and one packet count for all that time, so
// that no nonce repeats, and so that the client sees a single session: clients accept few
// changes.
type session struct {
	id       uint64
	owner    hash // hash of the user's key
	serverID uint64
	sent     atomic.Uint64 // number of replies

	// Guarded by sessions.mu.
	window  replay.Window
	aead    cipher.AEAD // opens the datagrams; nil without an association
	replies *replies    // of the association, or nil
	used    time.Time   // time of the last valid datagram
	until   time.Time   // when the last received datagram becomes invalid, by the wall clock

	noted   uint64 // the highest packetID in the journal
	isNoted bool
}

// sessions is the bounded set of a server's sessions. It is kept over a reload.
type sessions struct {
	method string
	key    []byte // shared by all clients
	max    int

	// Guarded by mu: the sessions with an association, ordered by their last valid
	// datagram, and those without, ordered by the end of their association.
	mu           sync.Mutex
	live, closed *sessionList
}

// sessionList is a list of sessions by ID. It is unbounded: the limit applies to both lists
// together.
type sessionList = simplelru.LRU[uint64, *session]

func newSessionList() *sessionList {
	l, err := simplelru.NewLRU[uint64, *session](math.MaxInt, nil)
	if err != nil {
		panic(err) // only for a size below 1
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

// isFor reports whether t holds the sessions of method and key.
func (t *sessions) isFor(method string, key []byte) bool {
	return t.method == method && bytes.Equal(t.key, key)
}

// received is a datagram that the server is opening.
type received struct {
	sessionID, packetID uint64
	user                *user
	aead                cipher.AEAD
	sent                time.Time
}

// find returns the AEAD of the session of a datagram, or nil if the session has none or is
// unknown. It returns ErrReplay if the session has received the datagram, and ErrAuth if
// the session belongs to another user. It does not change t: the datagram may be forged.
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

// add records a datagram that was authenticated and parsed. It returns the replies of the
// session's association, which it creates if necessary. Of equal concurrent datagrams one
// succeeds.
func (t *sessions) add(c *Cipher, r received, now time.Time) (*replies, error) {
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
	t.live.Get(s.id) // moves s to the end of the list
	return s.replies, nil
}

// open moves s to the live sessions and sets its association.
func (t *sessions) open(s *session, made *replies, aead cipher.AEAD, now time.Time) {
	if !t.closed.Remove(s.id) {
		t.makeRoom(now)
	}
	t.live.Add(s.id, s)
	s.replies, s.aead = made, aead
}

// makeRoom removes sessions that can no longer be replayed. If there are still too many,
// it removes the one that has been unused for longest, preferably one without an
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

// isOver reports whether all datagrams of the session are invalid by both clocks; see
// replay.Timed.
func (s *session) isOver(now time.Time) bool {
	return now.Sub(s.used) >= sessionKept && now.Round(0).After(s.until)
}

// close ends an association. The session keeps what is needed to detect replays.
func (t *sessions) close(r *replies) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := r.session
	if s.replies != r {
		return // closed before, or removed
	}
	t.live.Remove(s.id)
	t.closed.Add(s.id, s)
	s.replies, s.aead = nil, nil
}

// len returns the number of sessions, and the number of sessions with an association.
func (t *sessions) len() (all, live int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live.Len() + t.closed.Len(), t.live.Len()
}
