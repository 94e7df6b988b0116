package inbound

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// sessionKey identifies a client: by the cipher's session and, if clients don't roam, by
// the client's address.
type sessionKey struct {
	session core.PacketSession
	client  netip.AddrPort // not valid if clients roam
}

// sessions is the bounded set of the UDP sessions of one inbound. Over the bound of a
// client the client's least recently used session is evicted. Over the bound of the
// inbound the least recently used unproven session is evicted or, if all are proven, the
// least recently used session. So a flood of new clients, forged or not, evicts unproven
// sessions, and one client evicts its own sessions.
type sessions struct {
	creating  sync.Mutex // held while a session is made, so that two sockets don't make one for the same client; before mu
	mu        sync.Mutex // before that of a session
	max       int        // guarded by mu, as all that follows
	perClient int
	all       map[sessionKey]*session
	young     *list.List // of *session, the unproven ones, the least recently used first
	proven    *list.List // the same, of proven sessions
	clients   map[netip.Prefix]*list.List
}

func newSessions() *sessions {
	return &sessions{all: map[sessionKey]*session{}, young: list.New(), proven: list.New(), clients: map[netip.Prefix]*list.List{}}
}

// bound sets the bounds. They are applied when the next session is added.
func (t *sessions) bound(most, perClient int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max, t.perClient = most, perClient
}

// places are the positions of a session in the lists; guarded by sessions.mu.
type places struct {
	class, client *list.Element
	proven        bool
	used          time.Time // when the session was last moved to the ends of the lists
}

func (t *sessions) find(k sessionKey) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[k]
}

// add adds a new session and returns the evicted sessions, which the caller cuts. crowded
// means that the process has no room for one more, whatever the bound of the inbound.
func (t *sessions) add(s *session, now time.Time, crowded bool) (cut []*session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !s.source.Addr().IsLoopback() {
		of := t.clients[s.source]
		if of == nil {
			of = list.New()
			t.clients[s.source] = of
		}
		for of.Len() >= t.perClient {
			oldest := of.Front().Value.(*session)
			cut = append(cut, oldest)
			t.unlist(oldest)
		}
		t.clients[s.source] = of // unlist deletes an empty list
		s.at.client = of.PushBack(s)
	}
	for len(t.all) > 0 && (len(t.all) >= t.max || crowded && len(cut) == 0) {
		oldest := t.young.Front()
		if oldest == nil {
			oldest = t.proven.Front()
		}
		cut = append(cut, oldest.Value.(*session))
		t.unlist(oldest.Value.(*session))
	}
	s.at.class, s.at.used = t.young.PushBack(s), now
	t.all[s.key] = s
	return cut
}

// touch marks a session as used. It is called at most once a second, and when the session
// becomes proven. proven reports whether the session is proven.
func (t *sessions) touch(s *session, now time.Time, proven bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.at.class == nil {
		return
	}
	s.at.used = now
	if proven && !s.at.proven {
		t.young.Remove(s.at.class)
		s.at.class, s.at.proven = t.proven.PushBack(s), true
	} else if s.at.proven {
		t.proven.MoveToBack(s.at.class)
	} else {
		t.young.MoveToBack(s.at.class)
	}
	if s.at.client != nil {
		t.clients[s.source].MoveToBack(s.at.client)
	}
}

// remove removes a session. It may be called again.
func (t *sessions) remove(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unlist(s)
}

func (t *sessions) unlist(s *session) {
	if s.at.class == nil {
		return
	}
	if s.at.proven {
		t.proven.Remove(s.at.class)
	} else {
		t.young.Remove(s.at.class)
	}
	s.at.class = nil
	delete(t.all, s.key)
	if s.at.client == nil {
		return
	}
	of := t.clients[s.source]
	if of.Remove(s.at.client); of.Len() == 0 {
		delete(t.clients, s.source)
	}
	s.at.client = nil
}

// of returns the sessions whose clients used one socket last.
func (t *sessions) of(socket *netio.UDPSocket) []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*session
	for _, s := range t.all {
		if s.usedLast(socket) {
			all = append(all, s)
		}
	}
	return all
}
