package aead2022

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestSessionGoesOn closes the association of a session: the next datagram begins another
// association, which the client accepts as the same session of the server.
func TestSessionGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		before := sealed(t, p, "1")
		first := opens(t, server, before).Session
		for i := range 5 {
			first.Close()
			first.Close() // may be called again
			drops(t, "of the closed association", server, before, core.ErrReplay)
			before = sealed(t, p, "more")
			next := opens(t, server, before).Session
			if next == first {
				t.Fatal("the closed association is still in use")
			}
			late := sealed(t, first, "late")
			if got := reads(t, p, sealed(t, next, "answer")); got != "answer" {
				t.Errorf("association %d: got %q", i, got)
			}
			if got := reads(t, p, late); got != "late" {
				t.Errorf("association %d: got %q of a late datagram", i, got)
			}
			first.Close() // closing an old association must not end the new one
			if again := opens(t, server, sealed(t, p, "y")).Session; again != next {
				t.Error("the end of an old association ended the new one")
			}
			first = next
		}
		if all, live := server.(*packetServer).cipher.sessions.len(); all != 1 || live != 1 {
			t.Errorf("got %d sessions, %d live, want 1 and 1", all, live)
		}
	})
}

// TestPacketReplayLife replays the datagrams of a session, after its association has ended, at
// every time at which their timestamp could be valid. Other datagrams arrive in between.
func TestPacketReplayLife(t *testing.T) {
	for _, ahead := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(999 * time.Millisecond)
			s := specOf(t, aes128)
			k := Keys{PSKs: [][]byte{psk(s, 0)}}
			client, other, c := fresh(t, s, k), fresh(t, s, k), fresh(t, s, k)
			client.now = func() time.Time { return time.Now().Add(ahead) }
			p, server := clientOf(t, client), serverOf(t, c)
			first, second := sealed(t, p, "1"), sealed(t, p, "2")
			opens(t, server, second).Session.Close()
			opens(t, server, first).Session.Close()
			began := time.Now()
			for range 800 {
				opens(t, server, sealed(t, clientOf(t, other), "x")).Session.Close()
				for _, wire := range [][]byte{first, second} {
					if _, err := server.Open(bytes.Clone(wire), someone); !errors.Is(err, core.ErrReplay) && !errors.Is(err, core.ErrClock) {
						t.Fatalf("clock %s, after %s: got %v", ahead, time.Since(began), err)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			if all, _ := c.sessions.len(); all > 670 {
				t.Errorf("got %d sessions, want those of about 65 s", all)
			}
		})
	}
}

// TestSessionIsKept checks how long a session is remembered: by the monotonic clock from its
// last datagram on, and while one of its datagrams is valid.
func TestSessionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings()[0]
		c := fresh(t, s.spec, s.keys)
		server, off := serverOf(t, c), -30*time.Second
		client := fresh(t, s.spec, s.keys)
		client.now = func() time.Time { return time.Now().Add(off) }
		p := clientOf(t, client)
		first := opens(t, server, sealed(t, p, "x")).Session
		time.Sleep(time.Minute)
		opens(t, server, sealed(t, p, "y"))
		first.Close()
		off = 0
		for _, step := range []struct {
			after time.Duration
			known bool
		}{{30 * time.Second, true}, {34999 * time.Millisecond, true}, {time.Millisecond, false}} {
			time.Sleep(step.after)
			opens(t, server, sealed(t, clientOf(t, client), "another"))
			if known := c.sessions.get(p.sessionID) != nil; known != step.known {
				t.Errorf("after %s more: known %t, want %t", step.after, known, step.known)
			}
		}

		p, off = clientOf(t, client), 20*time.Second
		opens(t, server, sealed(t, p, "x"))
		sent := time.Now().Add(off)
		off = -20 * time.Second
		opens(t, server, sealed(t, p, "y"))
		if got, want := c.sessions.get(p.sessionID).until, sent.Add(timeGuard).Truncate(time.Second); !got.Equal(want) {
			t.Errorf("a datagram is good until %s, want %s", got, want)
		}
		now := time.Now()
		for _, tc := range []struct {
			used, until time.Duration // from now
			over        bool
		}{{-65 * time.Second, -1, true}, {-65*time.Second + 1, -1, false}, {-65 * time.Second, 0, false}, {-time.Hour, time.Hour, false}} {
			if got := (&session{used: now.Add(tc.used), until: now.Add(tc.until)}).isOver(now); got != tc.over {
				t.Errorf("used %s, good until %s: over %t, want %t", tc.used, tc.until, got, tc.over)
			}
		}
	})
}

// TestSessionsBound uses more sessions than the limit. Sessions without an association are
// removed first, then the one that has been unused for longest.
func TestSessionsBound(t *testing.T) {
	s := settings()[0]
	c := fresh(t, s.spec, s.keys)
	c.sessions = newSessions(s.spec.Method, c.first, 4)
	server := serverOf(t, c)
	var clients []*packetClient
	var open []core.PacketSession
	now := noon
	begin := func() {
		now = now.Add(time.Second)
		at(c, now)
		clients = append(clients, clientOf(t, c))
		open = append(open, opens(t, server, sealed(t, clients[len(clients)-1], "x")).Session)
	}
	for range 4 {
		begin()
	}
	opens(t, server, sealed(t, clients[0], "y"))
	open[2].Close()
	begin() // removes 2, which is closed
	begin() // removes 1, the longest unused
	for i, want := range []bool{true, false, false, true, true, true} {
		if known := c.sessions.get(clients[i].sessionID) != nil; known != want {
			t.Errorf("session %d is known: %t, want %t", i, known, want)
		}
	}
	if all, live := c.sessions.len(); all != 4 || live != 4 {
		t.Errorf("got %d sessions, %d live, want 4 and 4", all, live)
	}
	open[1].Close() // closes the association of a removed session
	drops(t, "as old as a session that was forgotten", server, func() []byte {
		defer at(c, now)
		at(c, now.Add(-4*time.Second)) // when session 1 began
		return sealed(t, clientOf(t, c), "x")
	}(), core.ErrCrowded)
	if got := reads(t, clients[1], sealed(t, open[1], "late")); got != "late" {
		t.Errorf("a session that was forgotten: got %q", got)
	}
	if all, live := c.sessions.len(); all != 4 || live != 4 || c.sessions.closed.Len() != 0 {
		t.Errorf("after the end of a forgotten one: got %d sessions, %d live", all, live)
	}
}

// TestSessionsRace opens equal first datagrams of many sessions concurrently: one of each is
// accepted, and there is one session.
func TestSessionsRace(t *testing.T) {
	s := settings()[0]
	c := fresh(t, s.spec, s.keys)
	server := serverOf(t, c)
	const goroutines = 4
	for range 50 {
		wire := sealed(t, clientOf(t, c), "x")
		var all sync.WaitGroup
		var sessions [goroutines]core.PacketSession
		for i := range goroutines {
			all.Go(func() {
				if o, err := server.Open(bytes.Clone(wire), someone); err == nil {
					sessions[i] = o.Session
					o.Session.Close()
				}
			})
		}
		all.Wait()
		n := 0
		for _, o := range sessions {
			if o != nil {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d of %d equal datagrams were opened, want 1", n, goroutines)
		}
	}
	if all, live := c.sessions.len(); all != 50 || live != 0 {
		t.Errorf("got %d sessions, %d live, want 50 and none", all, live)
	}
}

// BenchmarkSessionMemory begins sessions, and measures the memory of each.
func BenchmarkSessionMemory(b *testing.B) {
	for _, closed := range []bool{false, true} {
		b.Run(map[bool]string{false: "live", true: "closed"}[closed], func(b *testing.B) {
			s := settings()[0]
			c := fresh(b, s.spec, s.keys)
			server := serverOf(b, c)
			const n = 10_000
			var before, after runtime.MemStats
			for b.Loop() {
				c.sessions = newSessions(s.spec.Method, c.first, maxSessions)
				server = serverOf(b, c)
				runtime.GC()
				runtime.ReadMemStats(&before)
				for range n {
					o := opens(b, server, sealed(b, clientOf(b, c), "x"))
					if closed {
						o.Session.Close()
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/session")
			runtime.KeepAlive(server)
		})
	}
}
