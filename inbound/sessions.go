package inbound

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// sessionKey tells clients apart: by what the cipher says of them, and, where
// clients don't roam, by their address.
type sessionKey struct {
	session core.PacketSession
	client  netip.AddrPort // not valid where clients roam
}

// sessions is the bounded set of the UDP sessions of one inbound. Over a bound
// the least recently used one makes room: of the client that has too many, or
// else of those that have not shown to be a conversation, or else of all. So a
// flood of new clients, forged or not, drives out its own kind, and one client
// drives out its own sessions.
type sessions struct {
	mu        sync.Mutex
	max       int // guarded by mu, as all that follows
	perClient int
	all       map[sessionKey]*session
	young     *list.List // of *session, the longest unused first
	proven    *list.List // the same, of those that are a conversation
	clients   map[netip.Prefix]*list.List
}

func newSessions() *sessions {
	return &sessions{all: map[sessionKey]*session{}, young: list.New(), proven: list.New(), clients: map[netip.Prefix]*list.List{}}
}

// bound sets the bounds. They hold for the next that is added.
func (t *sessions) bound(most, perClient int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max, t.perClient = most, perClient
}

// places are where a session stands in the lists; guarded by sessions.mu.
type places struct {
	class, client *list.Element
	proven        bool
	used          time.Time // when it was last moved to the lists' ends
}

func (t *sessions) find(k sessionKey) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[k]
}

// add takes in a new session and returns those that made room, which the caller
// cuts.
func (t *sessions) add(s *session, now time.Time) (cut []*session) {
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
		t.clients[s.source] = of // its last one may have gone
		s.at.client = of.PushBack(s)
	}
	for len(t.all) >= t.max && len(t.all) > 0 {
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

// use notes that a session was used, once a second at the most. proven says
// whether it is a conversation by now.
func (t *sessions) use(s *session, now time.Time, proven bool) {
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

// remove takes a session out. It may be called again.
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

// of returns the sessions of one socket.
func (t *sessions) of(socket *netio.UDPSocket) []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*session
	for _, s := range t.all {
		if s.socket == socket {
			all = append(all, s)
		}
	}
	return all
}
