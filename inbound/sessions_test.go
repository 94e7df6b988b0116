package inbound

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// clients are those of the tests of the table: strangers, two of one /64, and a
// program on this machine.
var clients = []netip.Addr{
	netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.7"),
	netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1"),
	netip.MustParseAddr("127.0.0.1"),
}

// newEntry returns a session of a client for the table.
func newEntry(t *sessions, client netip.Addr, port uint16) *session {
	from := netip.AddrPortFrom(client, port)
	return &session{table: t, key: sessionKey{client: from}, source: core.SourceOf(client), flow: new(core.Flow)}
}

// model is the table as its rules say it, without its speed.
type model struct {
	max, perClient int
	all            []*session // the longest unused first
	proven         map[*session]bool
}

// oldest takes out the longest unused session of those that fit.
func (m *model) oldest(fits func(*session) bool) *session {
	i := slices.IndexFunc(m.all, fits)
	if i < 0 {
		return nil
	}
	s := m.all[i]
	m.remove(s)
	return s
}

func (m *model) remove(s *session) {
	m.all = slices.DeleteFunc(m.all, func(o *session) bool { return o == s })
	delete(m.proven, s)
}

// add returns those that must make room.
func (m *model) add(s *session) (cut []*session) {
	sameClient := func(o *session) bool { return o.source == s.source }
	count := 0
	for _, o := range m.all {
		if sameClient(o) {
			count++
		}
	}
	if !s.source.Addr().IsLoopback() && count >= m.perClient {
		cut = append(cut, m.oldest(sameClient))
	}
	if len(m.all) >= m.max {
		s := m.oldest(func(o *session) bool { return !m.proven[o] })
		if s == nil {
			s = m.oldest(func(*session) bool { return true })
		}
		cut = append(cut, s)
	}
	m.all = append(m.all, s)
	return cut
}

func (m *model) use(s *session, proven bool) {
	if !slices.Contains(m.all, s) {
		return
	}
	known := m.proven[s] || proven
	m.remove(s)
	m.all = append(m.all, s)
	if known {
		m.proven[s] = true
	}
}

// consistent reports what is wrong with the lists of a table.
func (t *sessions) consistent(m *model) error {
	if len(t.all) != len(m.all) || t.young.Len()+t.proven.Len() != len(m.all) || t.proven.Len() != len(m.proven) {
		return fmt.Errorf("%d sessions, %d young, %d proven, want %d, %d of them proven",
			len(t.all), t.young.Len(), t.proven.Len(), len(m.all), len(m.proven))
	}
	listed := 0
	for source, of := range t.clients {
		if of.Len() == 0 || source.Addr().IsLoopback() || of.Len() > m.perClient {
			return fmt.Errorf("client %v has a list of %d", source, of.Len())
		}
		listed += of.Len()
		for e := of.Front(); e != nil; e = e.Next() {
			if s := e.Value.(*session); s.source != source || s.at.client != e {
				return fmt.Errorf("client %v lists a session of %v", source, s.source)
			}
		}
	}
	for k, s := range t.all {
		if s.key != k || s.at.class == nil || s.at.proven != m.proven[s] {
			return fmt.Errorf("session %v: key %v, proven %t, want %t", k, s.key, s.at.proven, m.proven[s])
		}
		if !s.source.Addr().IsLoopback() {
			listed--
		}
	}
	if listed != 0 {
		return fmt.Errorf("clients list %d sessions more than there are", listed)
	}
	return nil
}

// Whatever comes in whatever order, the table does as its rules say.
func TestSessionsModel(t *testing.T) {
	for _, bounds := range [][2]int{{8, 3}, {8, 100}, {100, 2}, {1, 1}, {40, 6}} {
		t.Run(fmt.Sprintf("%d in all, %d of a client", bounds[0], bounds[1]), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			table := newSessions()
			table.bound(bounds[0], bounds[1])
			m := &model{max: bounds[0], perClient: bounds[1], proven: map[*session]bool{}}
			var made []*session // some of them are out already
			now := time.Now()
			for step := range 5000 {
				switch op := r.IntN(10); {
				case op < 5 || len(made) == 0:
					s := newEntry(table, clients[r.IntN(len(clients))], uint16(step))
					made = append(made, s)
					if got, want := table.add(s, now, false), m.add(s); !slices.Equal(got, want) {
						t.Fatalf("step %d: add made room by %d sessions, want %d (or others)", step, len(got), len(want))
					}
				case op < 9:
					s := made[len(made)-1-r.IntN(min(len(made), 2*bounds[0]))]
					proven := r.IntN(2) == 0
					table.touch(s, now, proven)
					m.use(s, proven)
				default:
					s := made[len(made)-1-r.IntN(min(len(made), 2*bounds[0]))]
					for range 2 {
						table.remove(s)
					}
					m.remove(s)
				}
				if err := table.consistent(m); err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				if len(table.all) > bounds[0] {
					t.Fatalf("step %d: %d sessions, want %d at most", step, len(table.all), bounds[0])
				}
			}
			for _, s := range made {
				table.remove(s)
			}
			if len(table.all)+table.young.Len()+table.proven.Len()+len(table.clients) != 0 {
				t.Error("an empty table holds something")
			}
		})
	}
}

// A client that makes many sessions drives out its own, and only those; new ones
// drive out no conversation.
func TestSessionsMakeRoom(t *testing.T) {
	table := newSessions()
	table.bound(6, 3)
	now := time.Now()
	add := func(client int, port uint16) (*session, []*session) {
		s := newEntry(table, clients[client], port)
		return s, table.add(s, now, false)
	}
	good, _ := add(0, 1)
	table.touch(good, now, true)
	greedy, _ := add(1, 1)
	for port := range uint16(10) {
		if _, cut := add(1, 2+port); slices.ContainsFunc(cut, func(s *session) bool { return s.source != greedy.source }) {
			t.Errorf("session %d of one client drove out another's", port)
		}
	}
	for port := range uint16(20) { // a flood of forged clients
		s := newEntry(table, netip.AddrFrom4([4]byte{203, 0, 113, byte(port)}), 1)
		if cut := table.add(s, now, false); slices.Contains(cut, good) {
			t.Errorf("client %d of a flood drove out a conversation", port)
		}
	}
	if table.find(good.key) != good {
		t.Error("the conversation is gone")
	}
	local := 0
	for port := range uint16(6) {
		s, _ := add(6, 1+port)
		table.touch(s, now, true)
	}
	for _, s := range table.all {
		if s.source.Addr().IsLoopback() {
			local++
		}
	}
	if local < 5 {
		t.Errorf("sessions of this machine: got %d, want no bound but the one of all", local)
	}
}

// A process without room makes some for a new session: the one that was silent for the
// longest ends, and one only.
func TestSessionsCrowded(t *testing.T) {
	table := newSessions()
	table.bound(10, 10)
	now := time.Now()
	if cut := table.add(newEntry(table, clients[0], 1), now, true); len(cut) != 0 {
		t.Errorf("an empty table: got %d driven out, want none", len(cut))
	}
	for port := range uint16(4) {
		table.add(newEntry(table, clients[0], 2+port), now, false)
	}
	cut := table.add(newEntry(table, clients[1], 1), now, true)
	if len(cut) != 1 || cut[0].key.client.Port() != 1 || len(table.all) != 5 {
		t.Errorf("got %d driven out, %d left, want the first one, 5", len(cut), len(table.all))
	}
}

func TestSessionsOf(t *testing.T) {
	table := newSessions()
	table.bound(10, 10)
	a, b := new(netio.UDPSocket), new(netio.UDPSocket)
	for i, socket := range []*netio.UDPSocket{a, b, a} {
		s := newEntry(table, clients[0], uint16(i))
		s.socket = socket
		table.add(s, time.Now(), false)
	}
	if na, nb := len(table.of(a)), len(table.of(b)); na != 2 || nb != 1 {
		t.Errorf("got %d and %d sessions, want 2 and 1", na, nb)
	}
}
