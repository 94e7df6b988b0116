package ciphertest

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// raceRounds is the number of pairs of equal concurrent requests.
const raceRounds = 100

// replay sends a complete first flight again.
func (k kit) replay(t *testing.T) {
	server := k.cipher(t)
	flight := dial(t, k.cipher(t), []byte("hello")).sent()
	accept(t, server, &script{segments: whole(flight)})
	for _, s := range []split{{"whole", whole}, {"byte by byte", bytewise}} {
		for _, w := range wraps {
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				err := refuses(t, server, &script{segments: s.cut(flight)}, w.wrap)
				if !errors.Is(err, core.ErrReplay) {
					t.Errorf("got %v, want core.ErrReplay", err)
				}
			})
		}
	}
	accept(t, server, &script{segments: whole(dial(t, k.cipher(t), nil).sent())})
}

// replayRace sends each first flight twice concurrently.
func (k kit) replayRace(t *testing.T) {
	server, client := k.cipher(t), k.cipher(t)
	for range raceRounds {
		flight := dial(t, client, []byte("hello")).sent()
		var all sync.WaitGroup
		var errs [2]error
		begin := make(chan struct{})
		for i := range errs {
			all.Go(func() {
				<-begin
				a, err := server.AcceptStream(&script{segments: whole(flight)}, core.Caller{Addr: someone})
				if errs[i] = err; err == nil {
					a.Stream.Close()
				}
			})
		}
		close(begin)
		all.Wait()
		accepted := 0
		for _, err := range errs {
			switch {
			case err == nil:
				accepted++
			case !errors.Is(err, core.ErrReplay):
				t.Errorf("got %v, want core.ErrReplay", err)
			}
		}
		if accepted != 1 {
			t.Fatalf("%d of two equal requests were accepted, want 1", accepted)
		}
	}
}

// saltOfNoise sends the salt of a request followed by noise before the request itself: the
// server must still accept the request.
func (k kit) saltOfNoise(t *testing.T) {
	const longestSalt = 32
	server := k.cipher(t)
	flight := dial(t, k.cipher(t), []byte("hello")).sent()
	noise := bytes.Clone(flight)
	for i := longestSalt; i < len(noise); i++ {
		noise[i] ^= 0xFF
	}
	for _, bad := range [][]byte{noise, noise[:longestSalt], noise[:longestSalt+1]} {
		refuses(t, server, &script{segments: whole(bad)}, wraps[0].wrap)
	}
	accept(t, server, &script{segments: whole(flight)})
}

// saltOfRefused is saltOfNoise for a method that does not authenticate: a refused request
// must not make the server refuse the genuine request.
func (k kit) saltOfRefused(t *testing.T) {
	flight := dial(t, k.cipher(t), nil).sent()
	refused := 0
	for i := range flight {
		server, noise := k.cipher(t), bytes.Clone(flight)
		for j := i; j < len(noise); j++ {
			noise[j] ^= 0xFF
		}
		if judges(t, server, &script{segments: whole(noise)}, wraps[0].wrap) == nil {
			continue
		}
		refused++
		accept(t, server, &script{segments: whole(flight)})
	}
	if refused == 0 {
		t.Error("no noise after the beginning of a request was refused")
	}
}

// reflection sends a server its own output, which would be a valid request except for its
// direction.
func (k kit) reflection(t *testing.T) {
	server := k.cipher(t)
	incoming := &script{segments: whole(dial(t, k.cipher(t), nil).sent())}
	a := accept(t, server, incoming)
	put(t, a.Stream, append(socksaddr.Append(nil, target(t)), "hello"...))
	for _, w := range wraps {
		refuses(t, server, &script{segments: whole(slices.Concat(incoming.wrote...))}, w.wrap)
	}
}
