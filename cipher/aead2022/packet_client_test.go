package aead2022

import (
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// restarted returns the replies of a newly started server with the same keys to the session
// of p.
func restarted(t *testing.T, s setting, p *packetClient, now func() time.Time) core.PacketSession {
	t.Helper()
	c := fresh(t, s.spec, s.keys)
	c.now = now
	return opens(t, serverOf(t, c), sealed(t, p, "x")).Session
}

// TestServerRestart restarts the server repeatedly: the client accepts one new session at a
// time, and reads late replies of the old one.
func TestServerRestart(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		now := noon
		clock := func() time.Time { return now }
		c := fresh(t, s.spec, s.keys)
		c.now = clock
		p := clientOf(t, c)
		start := func() core.PacketSession { return restarted(t, s, p, clock) }

		first := start()
		late := sealed(t, first, "late")
		reads(t, p, sealed(t, first, "1"))
		second := start()
		again := sealed(t, second, "2")
		reads(t, p, again)
		unread(t, "replay in the current session", p, again, core.ErrReplay)
		if got := reads(t, p, late); got != "late" {
			t.Errorf("got %q from the old session", got)
		}
		unread(t, "replay in the old session", p, late, core.ErrReplay)

		third := start()
		unread(t, "third session at once", p, sealed(t, third, "3"), core.ErrCrowded)
		now = now.Add(59 * time.Second)
		unread(t, "third session after 59 s", p, sealed(t, third, "3"), core.ErrCrowded)
		reads(t, p, sealed(t, first, "still here"))
		now = now.Add(59 * time.Second)
		unread(t, "59 s after the old session was used", p, sealed(t, third, "3"), core.ErrCrowded)
		reads(t, p, sealed(t, second, "and here")) // the current one does not count
		now = now.Add(time.Second)
		reads(t, p, sealed(t, third, "3"))
		unread(t, "the first session", p, sealed(t, first, "forgotten"), core.ErrCrowded)
		reads(t, p, sealed(t, second, "the old one now"))
	})
}

// TestReplyChanges checks that an invalid reply changes neither the window nor the session.
func TestReplyChanges(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		r := opens(t, server, sealed(t, p, "x")).Session.(*replies)
		fresh := restarted(t, s, p, func() time.Time { return noon }).(*replies)
		reads(t, p, sealed(t, r, "1"))
		main := func(when time.Time, id uint64) []byte {
			return append(socksaddr.Append(appendServerHeader(nil, when, id, nil), addr(t, "192.0.2.1:443")), 'x')
		}
		asRequest := main(noon, p.sessionID)
		asRequest[0] = typeClient
		cut := main(noon, p.sessionID)
		cut[17] = 0xFF
		name := main(noon, p.sessionID)
		name[19] = 3
		for _, from := range []*replies{r, fresh} {
			for _, tc := range []struct {
				name string
				main []byte
				err  error
			}{
				{"time", main(noon.Add(31*time.Second), p.sessionID), core.ErrClock},
				{"type", asRequest, core.ErrMalformed},
				{"to another session", main(noon, p.sessionID+1), core.ErrAuth},
				{"padding", cut, core.ErrMalformed},
				{"address", name, core.ErrMalformed},
			} {
				unread(t, tc.name, p, forge(t, &from.sealer, 2_000_000, tc.main), tc.err)
			}
			bad := forge(t, &from.sealer, 2_000_000, main(noon, p.sessionID))
			bad[len(bad)-1] ^= 1
			unread(t, "forged", p, bad, core.ErrAuth)
		}
		if p.old != nil || p.current.id != r.sessionID {
			t.Error("a bad reply began a session")
		}
		reads(t, p, sealed(t, r, "2"))
		reads(t, p, sealed(t, fresh, "3"))
	})
}

// TestRepliesOfOthers sends a client the replies to another client.
func TestRepliesOfOthers(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		other := clientOf(t, p.cipher)
		reply := sealed(t, opens(t, server, sealed(t, other, "x")).Session, "hello")
		unread(t, "reply to another", p, reply, core.ErrAuth)
		reads(t, other, reply)
	})
}

// TestClientSessions checks that a client counts from 0, and that sessions differ.
func TestClientSessions(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		for want := range uint64(3) {
			opens(t, server, sealed(t, p, "x"))
			own := server.(*packetServer).cipher.sessions.get(p.sessionID)
			if !own.window.Has(want) || own.window.Has(want+1) {
				t.Errorf("the datagram %d has another packetID", want)
			}
		}
		if again := clientOf(t, p.cipher); again.sessionID == p.sessionID {
			t.Error("two clients have one session ID")
		}
	})
}
