package aead2022

import (
	"encoding/binary"
	"iter"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
)

// The kinds of the records in the journal.
const (
	streamSalt    = 1
	packetSession = 2 // sessionID, 8B be; highest packetID, 8B be; hash of the user's key
	packetFloor   = 3 // hash of the user's key; see account.floor
)

// restore adds a record of the journal to the salts or sessions.
func (c *Cipher) restore(r replay.Record) {
	now := c.now()
	if !now.Round(0).Before(r.Until) {
		return // its message is no longer valid
	}
	switch {
	case r.Kind == streamSalt:
		c.salts.Add(r.Data, r.Until, now)
	case r.Kind == packetSession && len(r.Data) == 2*idSize+hashSize:
		c.sessions.restore(r, now)
	case r.Kind == packetFloor && len(r.Data) == hashSize:
		c.sessions.restoreFloor(r, now)
	}
}

// journalRecords returns the salts and sessions that are needed to detect replays.
func (c *Cipher) journalRecords() iter.Seq[replay.Record] {
	return func(yield func(replay.Record) bool) {
		for _, r := range c.sessions.records(everything, c.now()) {
			if !yield(r) {
				return
			}
		}
		c.salts.All(streamSalt)(yield)
	}
}

// noteSessions writes the sessions that received datagrams since the last call to the
// journal.
func (c *Cipher) noteSessions() {
	if c.journal == nil {
		return
	}
	for _, r := range c.sessions.records(changes, c.now()) {
		c.journal.Note(r)
	}
}

// selection is which records are made.
type selection int

const (
	everything selection = iota
	changes              // since the records of before
)

// records returns records of sessions, and of what is known of forgotten ones, and marks
// them as noted. What can no longer be replayed is removed.
func (t *sessions) records(which selection, now time.Time) (records []replay.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropOver(now)
	for _, s := range t.byID {
		if which == everything || !s.isNoted || s.window.Highest() != s.noted {
			records = append(records, s.record())
			s.noted, s.isNoted = s.window.Highest(), true
		}
	}
	for _, a := range t.accounts {
		if a.barred != nil && (which == everything || !a.isNoted) {
			records = append(records, replay.Record{Kind: packetFloor, Until: a.floor, Data: a.owner[:]})
			a.isNoted = true
		}
	}
	return records
}

func (s *session) record() replay.Record {
	b := binary.BigEndian.AppendUint64(nil, s.id)
	b = binary.BigEndian.AppendUint64(b, s.window.Highest())
	return replay.Record{Kind: packetSession, Until: s.until, Data: append(b, s.owner[:]...)}
}

// restore adds a session of the journal, without an association. All datagrams up to its
// highest packetID count as received.
func (t *sessions) restore(r replay.Record, now time.Time) {
	id, highest := binary.BigEndian.Uint64(r.Data), binary.BigEndian.Uint64(r.Data[idSize:])
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(id)
	if s == nil {
		s = &session{id: id, owner: hash(r.Data[2*idSize:]), serverID: newSessionID()}
		if t.enter(s, r.Until, now) != nil {
			t.raise(s.owner, r.Until, now)
			return
		}
	} else if s.replies != nil || highest < s.window.Highest() {
		return // the session is in use, or the record is older
	}
	s.window, s.used = replay.NewWindowAt(windowSize, highest), now
	s.noted, s.isNoted = highest, true
	if r.Until.After(s.until) {
		s.until = r.Until
	}
}

// restoreFloor adds a record of forgotten sessions.
func (t *sessions) restoreFloor(r replay.Record, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raise(hash(r.Data), r.Until, now)
}
