package ciphertest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// oneDial checks that a request is sent in one write together with its payload.
func (k kit) oneDial(t *testing.T) {
	for _, n := range []int{0, 1, 517, 8 << 10, shortChunk - 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			payload, dials, wire := coretest.Pattern(n, 1), 0, &script{}
			s, err := k.cipher(t).DialStream(target(t), payload, func(hello []byte) (core.Stream, error) {
				dials++
				_, err := wire.Write(hello)
				return wire, err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if dials != 1 || len(wire.wrote) != 1 {
				t.Fatalf("got %d dials and %d writes, want 1 and 1", dials, len(wire.wrote))
			}
			a := accept(t, k.cipher(t), &script{segments: wire.wrote})
			if got, err := rest(a); !bytes.Equal(got, payload) || err != nil {
				t.Errorf("got %d bytes, %v, want %d", len(got), err, n)
			}
		})
	}
}

func (k kit) dialError(t *testing.T) {
	refused := errors.New("refused")
	s, err := k.cipher(t).DialStream(target(t), []byte("x"), func([]byte) (core.Stream, error) { return nil, refused })
	if s != nil || !errors.Is(err, refused) {
		t.Errorf("got %v, %v, want nil, %v", s, err, refused)
	}
}

// writeError breaks the wire after the hello.
func (k kit) writeError(t *testing.T) {
	broken := errors.New("broken")
	wire := &script{fail: broken}
	s, err := k.cipher(t).DialStream(target(t), make([]byte, 3*buffer), func([]byte) (core.Stream, error) { return wire, nil })
	if s != nil || !errors.Is(err, broken) {
		t.Errorf("dial: got %v, %v, want nil, %v", s, err, broken)
	}
	if !core.IsSent(err) {
		t.Error("dial: the error is not marked by core.Sent, though the hello had bytes of the client's")
	}
	if !wire.closed {
		t.Error("dial: the wire was left open")
	}
}

// brokenStream makes one write of the wire fail: the sealed bytes of that write are lost, so
// nothing after them could be opened.
func (k kit) brokenStream(t *testing.T) {
	broken := errors.New("broken")
	client := dial(t, k.cipher(t), nil)
	client.wire.fail = broken
	for range 2 {
		if n, err := client.Write([]byte("x")); n != 0 || !errors.Is(err, broken) {
			t.Errorf("write: got %d, %v, want 0, %v", n, err, broken)
		}
		client.wire.fail = nil // the lost bytes must still end the stream
	}
}

// memory checks that the caller's memory is neither changed nor kept.
func (k kit) memory(t *testing.T) {
	up := coretest.Pattern(1000, 1)
	payload, wire := bytes.Clone(up), &script{}
	s, err := k.cipher(t).DialStream(target(t), payload, func(hello []byte) (core.Stream, error) {
		_, err := wire.Write(hello)
		clear(hello) // the caller may reuse hello when dial has returned
		return wire, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !bytes.Equal(payload, up) {
		t.Error("DialStream changed the payload")
	}
	clear(payload)

	more := coretest.Pattern(2*shortChunk, 2)
	piece := bytes.Clone(more)
	if _, err := s.Write(piece); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(piece, more) {
		t.Error("Write changed the caller's bytes")
	}
	clear(piece)

	a := accept(t, k.cipher(t), &script{segments: wire.wrote})
	if got, err := rest(a); !bytes.Equal(got, append(up, more...)) || err != nil {
		t.Errorf("got %d other bytes, %v", len(got), err)
	}
}

// acceptedPayload checks that the first payload stays valid during writes to the stream, and
// that a stream that is closed unread releases its memory.
func (k kit) acceptedPayload(t *testing.T) {
	payload := coretest.Pattern(5000, 1)
	for _, w := range wraps {
		t.Run(w.name, func(t *testing.T) {
			client := dial(t, k.cipher(t), payload)
			if _, err := client.Write(payload); err != nil {
				t.Fatal(err)
			}
			a := accept(t, k.cipher(t), w.wrap(&script{segments: whole(client.sent())}))
			if _, err := a.Stream.Write(coretest.Pattern(20_000, 2)); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(payload, a.Payload) {
				t.Error("a write changed the accepted payload")
			}
			if got, err := rest(a); !bytes.Equal(got, append(bytes.Clone(payload), payload...)) || err != nil {
				t.Errorf("got %d other bytes, %v", len(got), err)
			}
			unread := accept(t, k.cipher(t), w.wrap(&script{segments: whole(client.sent())}))
			unread.Stream.Close()
		})
	}
}
