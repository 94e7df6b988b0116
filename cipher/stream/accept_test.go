package stream_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestRefused sends bytes that do not decrypt to an address.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plain []byte
		want  error
	}{
		{"nothing", nil, core.ErrShort},
		{"address cut off", []byte{1, 192, 0, 2, 1, 0}, core.ErrShort},
		{"unknown type", []byte{2, 0, 0, 0, 0, 0, 0}, core.ErrAuth},
		{"flag in the type", []byte{0x11, 192, 0, 2, 1, 0, 80}, core.ErrAuth},
		{"empty name", []byte{3, 0, 0, 80}, core.ErrAuth},
		{"bad name", []byte{3, 2, 'a', ' ', 0, 80}, core.ErrAuth},
		{"port 0, which the dial refuses", []byte{1, 192, 0, 2, 1, 0, 0}, nil},
	} {
		for _, method := range []string{"aes-256-cfb", "chacha20", "none", "table"} {
			t.Run(tc.name+", "+method, func(t *testing.T) {
				s := spec(t, method)
				wire := encrypted(t, s, coretest.Pattern(s.IVSize, 1), tc.plain)
				if len(wire) == 0 {
					tc.want = io.EOF
				}
				target, raw, err := accepted(t, s, wire, len(wire)/2)
				if !errors.Is(err, tc.want) || core.IsAuthenticated(err) {
					t.Errorf("got %v, want %v, not authenticated", err, tc.want)
				}
				if err != nil && (!bytes.Equal(raw, wire) || target.IsValid()) {
					t.Errorf("got %x and target %s with the error, want %x", raw, target, wire)
				}
			})
		}
	}
}

// TestKeyOnce checks that New is called once per key.
func TestKeyOnce(t *testing.T) {
	s, times := spec(t, "aes-256-ctr"), 0
	prepare := s.New
	s.New = func(key []byte) (stream.Start, error) {
		times++
		return prepare(key)
	}
	c := newCipher(t, s)
	client, err := c.NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.AppendPacket(nil, nil, core.AddrFrom(someone)); err != nil {
			t.Fatal(err)
		}
	}
	if times != 1 {
		t.Errorf("got %d times, want 1", times)
	}
}
