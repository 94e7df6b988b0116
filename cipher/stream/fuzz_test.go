package stream_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// FuzzAccept lets servers with each form of method read arbitrary bytes. They must return the
// bytes unchanged if they are not a request, send nothing, never panic, and agree with the
// address decoder.
func FuzzAccept(f *testing.F) {
	methods := []string{"aes-256-cfb", "chacha20", "none", "table"}
	for _, v := range vectors(f) {
		if v.Method == methods[0] || v.Method == methods[1] {
			f.Add([]byte(v.Stream), uint16(3), byte(0))
			f.Add([]byte(v.Plaintext), uint16(3), byte(2))
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n0123456789abcdef"), uint16(0), byte(1))
	f.Add([]byte{3, 11, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm', 1, 0xBB}, uint16(14), byte(3))
	f.Fuzz(func(t *testing.T, wire []byte, cut uint16, which byte) {
		s := spec(t, methods[int(which)%len(methods)])
		ciphertest.Probe(t, newCipher(t, s), wire, cut, func(a core.Accepted, end, err error) {
			if err != nil && (len(wire) > 0 && !errors.Is(err, core.ErrShort) && !errors.Is(err, core.ErrAuth) || core.IsAuthenticated(err)) {
				t.Errorf("got %v, want core.ErrShort or core.ErrAuth, not authenticated", err)
			}
			plain := decrypted(t, s, wire)
			want, n, wrong := socksaddr.Decode(plain)
			if (err == nil) != (wrong == nil) {
				t.Fatalf("got %v, the address says %v", err, wrong)
			}
			if err == nil && (a.Target != want || !bytes.Equal(a.Payload, plain[n:]) || end != nil) {
				t.Errorf("got %x for %s, %v, want %x for %s", a.Payload, a.Target, end, plain[n:], want)
			}
		})
	})
}

// decrypted returns the plaintext of the bytes after the IV.
func decrypted(t testing.TB, s stream.Spec, wire []byte) []byte {
	t.Helper()
	if len(wire) < s.IVSize {
		return nil
	}
	plain := bytes.Clone(wire[s.IVSize:])
	if s.New == nil {
		return plain
	}
	start, err := s.New(keyOf(s))
	if err != nil {
		t.Fatal(err)
	}
	c, err := start(wire[:s.IVSize], stream.Decrypt)
	if err != nil {
		t.Fatal(err)
	}
	c.XORKeyStream(plain, plain)
	return plain
}
