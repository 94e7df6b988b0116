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

// FuzzAccept has a server of each form of method read arbitrary bytes. It must
// give them back unchanged if they are no request, say nothing, never panic, and
// find what the address decoder finds.
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
		if len(wire) > 32<<10 { // what the pipe takes before anybody reads
			return
		}
		s := spec(t, methods[int(which)%len(methods)])
		out := core.BuffersOut()
		conn, far := coretest.Pipe()
		half := int(cut) % (len(wire) + 1)
		for _, part := range [][]byte{wire[:half], wire[half:]} {
			if _, err := far.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a, err := newCipher(t, s).AcceptStream(conn, core.Caller{Addr: someone})
		if err != nil {
			rest, _ := io.ReadAll(conn)
			if got := append(a.Payload, rest...); !bytes.Equal(got, wire) {
				t.Errorf("%v: got %d other bytes back than the %d sent", err, len(got), len(wire))
			}
			if len(wire) > 0 && !errors.Is(err, core.ErrShort) && !errors.Is(err, core.ErrAuth) || core.IsAuthenticated(err) {
				t.Errorf("got %v, want core.ErrShort or core.ErrAuth, not authenticated", err)
			}
		}
		want, n, wrong := core.DecodeAddr(decrypted(t, s, wire))
		if (err == nil) != (wrong == nil) {
			t.Fatalf("got %v, the address says %v", err, wrong)
		}
		if err == nil {
			rest, err := io.ReadAll(a.Stream)
			got := append(a.Payload, rest...)
			if plain := decrypted(t, s, wire)[n:]; a.Target != want || !bytes.Equal(got, plain) || err != nil {
				t.Errorf("got %x for %s, %v, want %x for %s", got, a.Target, err, plain, want)
			}
			a.Stream.Close()
		}
		conn.Close()
		if said, _ := io.ReadAll(far); len(said) > 0 {
			t.Errorf("the server said %d bytes", len(said))
		}
		if n := core.BuffersOut() - out; n != 0 {
			t.Errorf("%d buffers were not returned", n)
		}
	})
}

// decrypted returns what is behind the IV, in the clear.
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
