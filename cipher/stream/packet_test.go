package stream_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

func packetPair(t testing.TB, s stream.Spec) (core.PacketClient, core.PacketServer) {
	t.Helper()
	return ciphertest.PacketPair(t, newCipher(t, s))
}

// Bytes that do not decrypt to an address are refused without authentication.
func TestPacketRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plain []byte
		want  error
	}{
		{"nothing", nil, core.ErrShort},
		{"address cut off", []byte{1, 192, 0, 2}, core.ErrAuth},
		{"name cut off", []byte{3, 200, 'a'}, core.ErrAuth},
		{"unknown type", []byte{2, 0, 0, 0, 0, 0, 0}, core.ErrAuth},
		{"flag in the type", []byte{0x11, 192, 0, 2, 1, 0, 80}, core.ErrAuth},
		{"bad name", []byte{3, 2, 'a', ' ', 0, 80}, core.ErrAuth},
		{"port 0", []byte{1, 192, 0, 2, 1, 0, 0}, core.ErrMalformed},
	} {
		for _, method := range []string{"aes-256-cfb", "chacha20", "none", "table"} {
			t.Run(tc.name+", "+method, func(t *testing.T) {
				s := spec(t, method)
				client, server := packetPair(t, s)
				iv := coretest.Pattern(s.IVSize, 1)
				wire := encrypted(t, s, iv, tc.plain)
				o, err := server.Open(bytes.Clone(wire), someone)
				if !errors.Is(err, tc.want) || core.IsAuthenticated(err) || o.Session != nil {
					t.Errorf("request: got %+v, %v, want %v, not authenticated", o, err, tc.want)
				}
				if _, _, err := client.OpenPacket(wire); tc.want != core.ErrMalformed && !errors.Is(err, tc.want) {
					t.Errorf("reply: got %v, want %v", err, tc.want)
				}
				good := encrypted(t, s, iv, []byte{1, 192, 0, 2, 1, 0, 80})
				if _, err := server.Open(good, someone); err != nil {
					t.Errorf("the IV counts as used: %v", err)
				}
			})
		}
	}
}

// FuzzPacket lets a server and a client open arbitrary bytes, and those bytes encrypted with
// the right key.
func FuzzPacket(f *testing.F) {
	const method = "aes-256-cfb"
	for _, v := range vectors(f) {
		if v.Method == method {
			f.Add([]byte(v.Stream))
			f.Add([]byte(v.Plaintext))
		}
	}
	f.Add([]byte{3, 1, 'a', 0, 53, 'x'})
	s := spec(f, method)
	iv := coretest.Pattern(s.IVSize, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > core.MaxDatagram {
			return
		}
		client, server := packetPair(t, s)
		_, _ = server.Open(bytes.Clone(b), someone) // must not panic
		_, _, _ = client.OpenPacket(bytes.Clone(b))
		if len(b) >= s.IVSize && bytes.Equal(b[:s.IVSize], iv) {
			return // the IV counts as used
		}
		addr, n, wrong := socksaddr.Decode(b)
		o, err := server.Open(encrypted(t, s, iv, b), someone)
		if (err == nil) != (wrong == nil && addr.Port() != 0) {
			t.Fatalf("plaintext %x: got %v, the address says %v", b, err, wrong)
		}
		if err == nil && (o.Target != addr || !bytes.Equal(o.Payload, b[n:])) {
			t.Errorf("plaintext %x: got %x for %s, want %x for %s", b, o.Payload, o.Target, b[n:], addr)
		}
	})
}
