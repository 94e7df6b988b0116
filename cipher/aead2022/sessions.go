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
	// maxSessions bounds the sessions that a server remembers. One takes about 550
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
	at      *list.Element

	noted   uint64 // the highest packetID that a journal has
	isNoted bool
}

// sessions is the bounded set of a server's sessions. It is kept over a reload.
type sessions struct {
	method string
	key    []byte // that all clients have in common
	max    int

	mu   sync.Mutex
	byID map[uint64]*session
	// The longest unused first: those with an association, and those without.
	live, closed *list.List
}

func newSessions(method string, key []byte, most int) *sessions {
	return &sessions{method: method, key: key, max: most, byID: map[uint64]*session{}, live: list.New(), closed: list.New()}
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
	s := t.byID[r.sessionID]
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
	s := t.byID[r.sessionID]
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
	t.live.MoveToBack(s.at)
	return s.replies, nil
}

// open puts s among the live sessions, with its association.
func (t *sessions) open(s *session, made *replies, aead cipher.AEAD, now time.Time) {
	if s.at != nil {
		t.closed.Remove(s.at)
	} else {
		t.makeRoom(now)
		t.byID[s.id] = s
	}
	s.at, s.replies, s.aead = t.live.PushBack(s), made, aead
}

// makeRoom forgets the sessions that can't be replayed any more, and, if there are
// too many still, the one that has been unused for longest, best one without an
// association.
func (t *sessions) makeRoom(now time.Time) {
	for e := t.closed.Front(); e != nil && e.Value.(*session).isOver(now); e = t.closed.Front() {
		t.forget(t.closed, e)
	}
	if len(t.byID) < t.max {
		return
	}
	if e := t.closed.Front(); e != nil {
		t.forget(t.closed, e)
	} else if e := t.live.Front(); e != nil {
		t.forget(t.live, e)
	}
}

func (t *sessions) forget(from *list.List, e *list.Element) {
	s := from.Remove(e).(*session)
	delete(t.byID, s.id)
	s.at, s.replies = nil, nil
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
	t.live.Remove(s.at)
	s.at, s.replies, s.aead = t.closed.PushBack(s), nil, nil
}

// len returns how many sessions there are, and how many have an association.
func (t *sessions) len() (all, live int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID), t.live.Len()
}
