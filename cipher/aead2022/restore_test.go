package aead2022

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// lifeOf builds the table of a new process with a replay file and a number of remembered
// sessions, and runs it. The caller ends it by stop.
func lifeOf(t *testing.T, s Spec, path string, sessions int) (c *Cipher, stop func()) {
	t.Helper()
	env := core.Env{Section: core.SectionCipher, Name: "house", Process: new(core.Process), Log: coretest.Log(t)}
	built, err := s.build(env, password(psk(s, 0)), users.Options{}, replay.File{ReplayFile: path}, SessionOptions{sessions})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); built.(core.Runner).Run(ctx) }()
	return built.(*Cipher), func() { cancel(); <-done }
}

// TestRestart builds a table in a new process: requests and datagrams in the file of the
// earlier process are refused, and removed once they are too old.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	s := specOf(t, aes128)
	synctest.Test(t, func(t *testing.T) {
		life := func() (*Cipher, func()) { return lifeOf(t, s, path, maxSessions) }
		client := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}})
		p, b := clientOf(t, client), flight(t, client, "192.0.2.1:80", "x")
		first, stop := life()
		accepts(t, first, b)
		var wires [][]byte
		for range 5 {
			wires = append(wires, sealed(t, p, "x"))
			opens(t, serverOf(t, first), bytes.Clone(wires[len(wires)-1]))
		}
		stop()
		second, stop := life()
		if err := refused(t, second, b); !errors.Is(err, core.ErrReplay) {
			t.Errorf("request after a restart: got %v, want core.ErrReplay", err)
		}
		for _, wire := range wires {
			drops(t, "datagram after a restart", serverOf(t, second), bytes.Clone(wire), core.ErrReplay)
		}
		opens(t, serverOf(t, second), sealed(t, p, "a session goes on"))
		stop()
		time.Sleep(2 * time.Minute)
		third, stop := life()
		defer stop()
		if all, _ := third.sessions.len(); all != 0 || third.salts.Len() != 0 {
			t.Errorf("after two minutes: got %d sessions and %d salts, want none", all, third.salts.Len())
		}
	})
}

// TestRestartFloor: what a server has forgotten at its bound stays refused after a restart,
// though neither process remembers it.
func TestRestartFloor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replay")
	s := specOf(t, aes128)
	synctest.Test(t, func(t *testing.T) {
		life := func() (*Cipher, func()) { return lifeOf(t, s, path, 2) }
		client := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}})
		server, stop := life()
		recorded := sealed(t, clientOf(t, client), "x")
		opens(t, serverOf(t, server), recorded)
		for range 3 {
			time.Sleep(2 * time.Second)
			opens(t, serverOf(t, server), sealed(t, clientOf(t, client), "x"))
		}
		for range 3 {
			drops(t, "a forgotten session", serverOf(t, server), recorded, core.ErrCrowded)
			stop()
			server, stop = life()
		}
		opens(t, serverOf(t, server), sealed(t, clientOf(t, client), "a new session"))
		stop()
	})
}
