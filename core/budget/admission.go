package budget

import (
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// admit lists st, as one that is silent, if the bounds leave room for it, or can be made
// to. full reports whether a bound of s is reached. budget.mu is held, as in all that
// follows.
func (s *Strangers) admit(st *Stranger, source netip.Prefix) (full bool, err error) {
	now := time.Now()
	b := s.budget
	full, ok := s.makeRoomAt(source, now)
	if ok && s.all.len() >= s.most {
		full, ok = true, makeRoom(&s.all, now)
	}
	if !ok {
		return full, core.ErrCrowded
	}
	for {
		r := b.lacking(b.strangers.len()+1, b.files+s.files)
		if r == "" {
			break
		}
		b.tell(r)
		if b.lacking(1, s.files) != "" || !makeRoom(&b.strangers, now) {
			return full, core.ErrCrowded
		}
	}
	s.list(st, silent, source)
	return full, nil
}

// makeRoomAt makes room for one more stranger of a source. ok is false if it can't; full
// reports whether there was none.
func (s *Strangers) makeRoomAt(source netip.Prefix, now time.Time) (full, ok bool) {
	by := s.sources[source]
	if by == nil || by.len() < s.bySource {
		return false, true
	}
	return true, makeRoom(by, now)
}

// makeRoom evicts the victim of a crowd. It returns false if there is none.
func makeRoom(c *crowd, now time.Time) bool {
	v := c.victim(now)
	if v != nil {
		v.evict()
	}
	return v != nil
}

// sourceOf returns what a client is counted for: the zero Prefix for a client that is
// not known, or is on this machine.
func sourceOf(client netip.Addr) netip.Prefix {
	if !client.IsValid() || client.IsLoopback() {
		return netip.Prefix{}
	}
	return core.SourceOf(client)
}

// list adds st to its crowds.
func (s *Strangers) list(st *Stranger, c class, source netip.Prefix) {
	st.class, st.source, st.since, st.listed = c, source, time.Now(), true
	s.budget.strangers.add(st)
	s.budget.files += s.files
	s.all.add(st)
	if !source.IsValid() {
		return
	}
	if st.by = s.sources[source]; st.by == nil {
		by := newCrowd(inSource)
		st.by = &by
		s.sources[source] = st.by
	}
	st.by.add(st)
}

// unlist removes st from its crowds.
func (s *Strangers) unlist(st *Stranger) {
	if !st.listed {
		return
	}
	st.listed = false
	s.budget.strangers.remove(st)
	s.budget.files -= s.files
	s.all.remove(st)
	if st.by == nil {
		return
	}
	if st.by.remove(st); st.by.len() == 0 {
		delete(s.sources, st.source)
	}
	st.by = nil
}

// evict ends a stranger to make room. Every EvictAgain, MakeRoom is called again for those
// that were evicted before and have not left: a connection may have reset its deadline
// concurrently, and must not stay beyond the bound.
func (st *Stranger) evict() {
	s, now := st.of, time.Now()
	if now.Sub(s.toldAgain) >= EvictAgain {
		s.toldAgain = now
		for other := range s.evicting {
			other.member.MakeRoom()
		}
	}
	s.unlist(st)
	s.evicting[st] = struct{}{}
	st.member.MakeRoom()
}

func (s *Strangers) empty() bool { return s.all.len() == 0 && len(s.evicting) == 0 }
