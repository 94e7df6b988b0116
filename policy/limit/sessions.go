package limit

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// session is a running UDP session. It has no end that its client could tell, so at a limit
// on connections the one that has been silent for the longest gives its place to a new
// connection.
type session struct {
	flow   *core.Flow
	source netip.Prefix // of the address that the session counts for
	given  bool         // another connection has its place in the count of source

	moved int64     // bytes when the session was last looked at
	since time.Time // when that number was first seen
}

// look notes whether the session has moved bytes.
func (s *session) look(now time.Time) {
	if moved := s.flow.Up.Load() + s.flow.Down.Load(); moved != s.moved {
		s.moved, s.since = moved, now
	}
}

// sessions are the UDP sessions of one address or one user. The zero value has none.
type sessions struct {
	all   map[*core.Flow]*session
	since time.Time // no session has been silent for longer
}

// add adds the session of a flow, which was active just now.
func (ss *sessions) add(f *core.Flow, now time.Time) *session {
	s := &session{flow: f, moved: f.Up.Load() + f.Down.Load(), since: now}
	if len(ss.all) == 0 {
		ss.all, ss.since = map[*core.Flow]*session{}, now
	}
	ss.all[f] = s
	return s
}

// remove removes the session of a flow, if there is one.
func (ss *sessions) remove(f *core.Flow) {
	if delete(ss.all, f); len(ss.all) == 0 {
		ss.all = nil
	}
}

// look looks at all sessions.
func (ss *sessions) look(now time.Time) {
	for _, s := range ss.all {
		s.look(now)
	}
}

// idle returns the session that has been silent for the longest, or nil if that is less
// than least.
func (ss *sessions) idle(least time.Duration, now time.Time) *session {
	if len(ss.all) == 0 || now.Sub(ss.since) < least {
		return nil
	}
	var longest *session
	for _, s := range ss.all {
		if s.look(now); longest == nil || s.since.Before(longest.since) {
			longest = s
		}
	}
	if ss.since = longest.since; now.Sub(ss.since) < least {
		return nil
	}
	return longest
}

// follow notes that a flow is a UDP session, which may give its place.
func (us *users) follow(f *core.Flow, now time.Time) {
	us.mu.Lock()
	defer us.mu.Unlock()
	if m := us.flows[f]; m != nil {
		m.user.sessions.add(f, now)
	}
}

// errSilent returns the cause of the end of a session that makes room.
func errSilent(udpIdle time.Duration) error {
	return fmt.Errorf("%w: the session was silent for %s or more, and a new connection has its place", core.ErrCrowded, udpIdle)
}
