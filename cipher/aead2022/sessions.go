package aead2022

import (
	"bytes"
	"container/list"
	"crypto/cipher"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

const (
	// maxSessions is the default of SessionOptions.RememberedSessions. A session takes
	// about 600 bytes, and with AES 1600 more during its association.
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
	account *account
	place   *list.Element // in account.live or account.closed
	ended   *list.Element // in sessions.closed; nil during an association
	window  replay.Window
	aead    cipher.AEAD // opens the datagrams; nil without an association
	replies *replies    // of the association, or nil
	used    time.Time   // time of the last valid datagram
	until   time.Time   // when the last received datagram becomes invalid, by the wall clock

	noted   uint64 // the highest packetID in the journal
	isNoted bool
}

// sessions is the bounded set of a server's sessions. It is kept over a reload.
//
// At the bound the user with the most sessions loses one, and from then on that user
// begins no session with a datagram that is not newer than the datagrams of the lost one.
// So nobody makes the server forget the sessions of another, and no datagram of a lost
// session is accepted again.
type sessions struct {
	method string
	key    []byte // shared by all clients

	mu       sync.Mutex
	max      int // guarded by mu, as all that follows
	byID     map[uint64]*session
	closed   *list.List // of *session, those without an association, by the end of it
	accounts map[hash]*account
	largest  accountHeap
	barred   *list.List // of *account, those with a floor, by the time when it was set
}

func newSessions(method string, key []byte, most int) *sessions {
	return &sessions{method: method, key: key, max: most, byID: map[uint64]*session{}, closed: list.New(), accounts: map[hash]*account{}, barred: list.New()}
}

// limit sets the maximum number of sessions. It holds from the next new session on.
func (t *sessions) limit(most int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = most
}

// get returns a session, or nil. mu is held.
func (t *sessions) get(id uint64) *session { return t.byID[id] }

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
// succeeds. It returns ErrCrowded for the first datagram of a session that could be a
// replay of a session that had to be forgotten.
func (t *sessions) add(c *Cipher, r received, now time.Time) (*replies, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	until := r.sent.Add(timeGuard)
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
		if s.account == nil {
			if err := t.enter(s, until, now); err != nil {
				return nil, err
			}
		}
		t.leaveClosed(s)
		s.place = s.account.live.PushBack(s)
		s.replies, s.aead = made, r.aead
	}
	s.window.Add(r.packetID)
	s.used = now
	if until.After(s.until) {
		s.until = until
	}
	s.account.live.MoveToBack(s.place)
	return s.replies, nil
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
	s.account.live.Remove(s.place)
	s.replies, s.aead = nil, nil
	t.enterClosed(s)
}

// enterClosed appends s to the sessions without an association. mu is held.
func (t *sessions) enterClosed(s *session) {
	s.place, s.ended = s.account.closed.PushBack(s), t.closed.PushBack(s)
}

// leaveClosed is the inverse of enterClosed. mu is held.
func (t *sessions) leaveClosed(s *session) {
	s.account.closed.Remove(s.place)
	t.closed.Remove(s.ended)
	s.ended = nil
}

// len returns the number of sessions, and the number of sessions with an association.
func (t *sessions) len() (all, live int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID), len(t.byID) - t.closed.Len()
}
