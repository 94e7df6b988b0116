package aead2022

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestUsersFile changes the user file while a server runs: a removed user is refused within a
// second, for streams and datagrams, and an invalid key changes no user.
func TestUsersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	write := func(list map[string]string) {
		t.Helper()
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := specOf(t, aes256)
	write(map[string]string{"alice": encoded(psk(s, 1)), "bob": encoded(psk(s, 2))})
	synctest.Test(t, func(t *testing.T) {
		env := core.Env{Section: core.SectionCipher, Name: "house", Process: new(core.Process), Log: coretest.Log(t)}
		built, err := s.build(env, password(psk(s, 0)), users.Options{UsersFile: path, CutRemoved: true}, replay.File{}, SessionOptions{maxSessions})
		if err != nil {
			t.Fatal(err)
		}
		server := built.(*Cipher)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go server.Run(ctx)
		alice, bob := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1)}}), fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 2)}})
		fromAlice := clientOf(t, alice)
		a, _ := accepts(t, server, flight(t, alice, "192.0.2.1:80", "x"))
		session := opens(t, serverOf(t, server), sealed(t, fromAlice, "x")).Session
		if g, ok := session.(core.GrantedSession); a.User != "alice" || a.Grant == nil || !ok || g.Grant() != a.Grant {
			t.Errorf("got user %q, grants %p and %v, want alice's, one for both", a.User, a.Grant, session)
		}
		for _, step := range []struct {
			name       string
			users      map[string]string
			alice, bob bool
		}{
			{"alice removed", map[string]string{"bob": encoded(psk(s, 2))}, false, true},
			{"a bad key", map[string]string{"bob": encoded(psk(s, 2)), "alice": "no key"}, false, true},
			{"the identity key", map[string]string{"bob": encoded(psk(s, 0))}, false, true},
			{"bob's key changed", map[string]string{"bob": encoded(psk(s, 3)), "alice": encoded(psk(s, 1))}, true, false},
		} {
			write(step.users)
			time.Sleep(time.Second)
			synctest.Wait()
			for user, want := range map[*Cipher]bool{alice: step.alice, bob: step.bob} {
				if want {
					accepts(t, server, flight(t, user, "192.0.2.1:80", "x"))
					opens(t, serverOf(t, server), sealed(t, clientOf(t, user), "x"))
					continue
				}
				unknown(t, step.name, server, flight(t, user, "192.0.2.1:80", "x"))
				drops(t, step.name, serverOf(t, server), sealed(t, clientOf(t, user), "x"), core.ErrAuth)
			}
			if !step.alice {
				drops(t, step.name+", a session that runs", serverOf(t, server), sealed(t, fromAlice, "y"), core.ErrAuth)
			}
		}
	})
}
