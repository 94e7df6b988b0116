package aead2022

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// TestSessionsShare: a user that begins more sessions than the server remembers makes the
// server forget none of another user's, so another user's recorded datagram stays refused.
func TestSessionsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := specOf(t, aes128)
		keys := Keys{PSKs: [][]byte{psk(s, 0)}, Users: []User{{Name: "alice", PSK: psk(s, 1)}, {Name: "bob", PSK: psk(s, 2)}}}
		c := fresh(t, s, keys)
		c.sessions = newSessions(s.Method, c.first, 4)
		server := serverOf(t, c)
		of := func(user int) *packetClient {
			return clientOf(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, user)}}))
		}
		recorded := sealed(t, of(1), "alice's")
		opens(t, server, recorded).Session.Close()
		var own [][]byte
		for range 40 {
			wire := sealed(t, of(2), "bob's")
			if o, err := server.Open(bytes.Clone(wire), someone); err == nil {
				own = append(own, wire)
				o.Session.Close()
			} else if !errors.Is(err, core.ErrCrowded) {
				t.Fatalf("bob: got %v, want ErrCrowded or none", err)
			}
			drops(t, "alice's, recorded", server, recorded, core.ErrReplay)
			time.Sleep(100 * time.Millisecond)
		}
		for _, wire := range own {
			if _, err := server.Open(bytes.Clone(wire), someone); !errors.Is(err, core.ErrReplay) && !errors.Is(err, core.ErrCrowded) {
				t.Errorf("one of bob's, recorded: got %v, want it refused", err)
			}
		}
		if len(own) < 4 {
			t.Errorf("got %d sessions of bob, want one a second or more", len(own))
		}
	})
}
