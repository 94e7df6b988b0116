package ciphertest

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// wires are the kinds of wires of a live stream.
var wires = []struct {
	name string
	pair func(t testing.TB) (a, b core.Stream)
}{
	{"tcp", func(t testing.TB) (a, b core.Stream) { return coretest.LoopbackPair(t) }},
	{"wrapped tcp", func(t testing.TB) (a, b core.Stream) {
		a, b = coretest.LoopbackPair(t)
		return wrapped{a}, wrapped{b}
	}},
	{"opaque tcp", func(t testing.TB) (a, b core.Stream) {
		a, b = coretest.LoopbackPair(t)
		return opaque{a}, opaque{b}
	}},
}

// connect returns both ends of a stream over a wire with the ends a and b. They are closed
// at the end of the test.
func (k kit) connect(t testing.TB, a, b core.Stream) (client, server core.Stream) {
	t.Helper()
	client, err := k.cipher(t).DialStream(target(t), nil, func(hello []byte) (core.Stream, error) {
		_, err := a.Write(hello)
		return a, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, accept(t, k.cipher(t), b).Stream
}

// streams runs the kit for streams over each kind of wire, from both ends.
func (k kit) streams(t *testing.T) {
	for _, w := range wires {
		t.Run("client over "+w.name, func(t *testing.T) {
			coretest.TestStream(t, func(t testing.TB) (a, b core.Stream) {
				a, b = w.pair(t)
				return k.connect(t, a, b)
			})
		})
		t.Run("server over "+w.name, func(t *testing.T) {
			coretest.TestStream(t, func(t testing.TB) (a, b core.Stream) {
				a, b = w.pair(t)
				client, server := k.connect(t, a, b)
				return server, client
			})
		})
	}
}

// manyStreams serves many clients concurrently with one cipher.
func (k kit) manyStreams(t *testing.T) {
	client, server := k.cipher(t), k.cipher(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			up := coretest.Pattern(1000*i, byte(i))
			if err := echo(target(t), client, server, up); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// echo sends up from a client, and sends it back from the server.
func echo(to core.Addr, client, server core.Cipher, up []byte) error {
	near, far := coretest.Pipe()
	defer near.Close()
	done := make(chan error, 1)
	go func() {
		defer far.Close()
		a, err := server.AcceptStream(far, core.Caller{Addr: someone})
		if err == nil {
			defer a.Stream.Close()
			var got []byte
			if got, err = rest(a); err == nil {
				_, err = a.Stream.Write(got)
			}
		}
		done <- err
	}()
	s, err := client.DialStream(to, up, func(hello []byte) (core.Stream, error) {
		_, err := near.Write(hello)
		return near, err
	})
	if err != nil {
		near.Close()
		<-done
		return err
	}
	defer s.Close()
	if err := s.CloseWrite(); err != nil {
		return err
	}
	down, err := io.ReadAll(s)
	if err == nil && !bytes.Equal(down, up) {
		err = fmt.Errorf("got %d bytes back, want %d", len(down), len(up))
	}
	s.Close()
	if failed := <-done; failed != nil {
		return failed
	}
	return err
}
