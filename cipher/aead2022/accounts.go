package aead2022

import (
	"container/heap"
	"container/list"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// account is the sessions of one user. Its fields are guarded by sessions.mu.
type account struct {
	owner  hash
	live   list.List // of *session, with an association, the longest unused first
	closed list.List // of *session, without one, by the end of their association
	index  int       // in sessions.largest

	// floor is when the last datagram of the sessions that were forgotten becomes
	// invalid. A datagram that becomes invalid no later begins no session.
	floor   time.Time
	raised  time.Time     // when floor was set
	barred  *list.Element // in sessions.barred; nil without a floor
	isNoted bool          // floor is in the journal
}

func (a *account) size() int { return a.live.Len() + a.closed.Len() }

// accountHeap is the accounts as a container/heap, the one with the most sessions first.
type accountHeap []*account

func (h accountHeap) Len() int           { return len(h) }
func (h accountHeap) Less(i, j int) bool { return h[i].size() > h[j].size() }

func (h accountHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *accountHeap) Push(x any) {
	a := x.(*account)
	a.index = len(*h)
	*h = append(*h, a)
}

// Pop implements heap.Interface.
func (h *accountHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return a
}

// accountOf returns the account of a user, which it creates if necessary. mu is held.
func (t *sessions) accountOf(owner hash) *account {
	a := t.accounts[owner]
	if a == nil {
		a = &account{owner: owner}
		t.accounts[owner] = a
		heap.Push(&t.largest, a)
	}
	return a
}

// enter adds s, a new session without an association whose first datagram becomes invalid
// at until, and makes room for it. It returns ErrCrowded if the datagram may be one of a
// session that was forgotten. mu is held.
func (t *sessions) enter(s *session, until, now time.Time) error {
	t.dropOver(now)
	a := t.accountOf(s.owner)
	if !until.After(a.floor) {
		return fmt.Errorf("%w: too many UDP sessions of the user, so that a new one can't be told from a replay", core.ErrCrowded)
	}
	for victim := t.victim(a); victim != nil; victim = t.victim(a) {
		t.forget(victim, now)
	}
	a = t.accountOf(s.owner) // the victim may have been the last session of it
	t.byID[s.id], s.account, s.until = s, a, until
	t.enterClosed(s)
	heap.Fix(&t.largest, a.index)
	return nil
}

// dropOver removes sessions that can no longer be replayed, and floors that have passed.
// mu is held.
func (t *sessions) dropOver(now time.Time) {
	t.dropFloors(now)
	for e := t.closed.Front(); e != nil; e = t.closed.Front() {
		s := e.Value.(*session)
		if !s.isOver(now) {
			return
		}
		t.remove(s)
	}
}

// dropFloors removes the floors that have passed by both clocks, and the accounts that
// have nothing else. mu is held.
func (t *sessions) dropFloors(now time.Time) {
	for e := t.barred.Front(); e != nil; e = t.barred.Front() {
		a := e.Value.(*account)
		switch {
		case now.Sub(a.raised) < sessionKept:
			return
		case !now.Round(0).After(a.floor): // the wall clock has gone back
			a.raised = now
			t.barred.MoveToBack(e)
		default:
			t.barred.Remove(e)
			a.barred, a.floor = nil, time.Time{}
			t.tidy(a)
		}
	}
}

// victim returns the session that has to go before a new one of a, or nil if there is
// room: of a, or of a user who has more sessions than a would have, one without an
// association if there is one, and the longest unused. mu is held.
func (t *sessions) victim(a *account) *session {
	if len(t.byID) < t.max || len(t.byID) == 0 {
		return nil
	}
	if top := t.largest[0]; a.size() == 0 || top.size() > a.size()+1 {
		a = top
	}
	if e := a.closed.Front(); e != nil {
		return e.Value.(*session)
	}
	return a.live.Front().Value.(*session)
}

// forget removes a session whose datagrams may still be valid. mu is held.
func (t *sessions) forget(s *session, now time.Time) {
	t.raise(s.owner, s.until, now)
	t.remove(s)
}

// remove removes a session. mu is held.
func (t *sessions) remove(s *session) {
	a := s.account
	if s.replies != nil {
		a.live.Remove(s.place)
		s.replies = nil
	} else {
		t.leaveClosed(s)
	}
	delete(t.byID, s.id)
	heap.Fix(&t.largest, a.index)
	t.tidy(a)
}

// tidy removes an account that says nothing any more. mu is held.
func (t *sessions) tidy(a *account) {
	if a.size() > 0 || a.barred != nil {
		return
	}
	heap.Remove(&t.largest, a.index)
	delete(t.accounts, a.owner)
}

// raise records that a session of a user, valid until then, is not remembered. mu is held.
func (t *sessions) raise(owner hash, until, now time.Time) {
	a := t.accountOf(owner)
	a.raised = now
	if a.barred == nil {
		a.barred = t.barred.PushBack(a)
	} else {
		t.barred.MoveToBack(a.barred)
	}
	if until.After(a.floor) {
		a.floor, a.isNoted = until, false
	}
}
