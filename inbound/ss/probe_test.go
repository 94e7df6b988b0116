package ss

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// timeout is the handshake timeout of the tests that run in still time.
const timeout = time.Minute

// newCipher returns the cipher of both roles.
func newCipher(t testing.TB) *aead.Cipher {
	t.Helper()
	s := aead.Specs()[2]
	c, err := aead.New(s, key.FromPassword("correct horse battery staple", s.KeySize), replay.NewSalts(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// noise returns n random bytes, the same in each run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b) // never fails
	return b
}

// hello returns the first flight of a request.
func hello(t testing.TB, c core.Cipher, payload string) []byte {
	t.Helper()
	to, err := core.ParseAddr("example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	wire, far := coretest.Pipe()
	defer far.Close()
	var flight []byte
	s, err := c.DialStream(to, []byte(payload), func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		return wire, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return flight
}

// outcome is what a prober sees.
type outcome struct {
	said []byte        // by the server
	err  error         // of the read after it
	took time.Duration // from the accept to the end
}

// probed has conn go through the handshake and its failure, as core.Server does,
// and returns what client sees, which send speaks on.
func probed(t *testing.T, c core.Cipher, send func(client core.Stream)) (out outcome) {
	t.Helper()
	client, conn := coretest.Pipe()
	defer client.Close()
	began := time.Now()
	deadline := began.Add(timeout)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer conn.Close()
		_ = conn.SetDeadline(deadline)
		s := server{cipher: c}
		_, _, err := s.Handshake(t.Context(), conn, core.Client{})
		if err == nil {
			t.Error("the probe was accepted")
			return
		}
		s.Fail(conn, deadline, err)
	}()
	go send(client)
	out.said, out.err = io.ReadAll(client)
	out.took = time.Since(began)
	<-done
	return out
}

// silent checks that the server said nothing and ended in order after want.
func silent(t *testing.T, out outcome, want time.Duration) {
	t.Helper()
	if len(out.said) > 0 || out.err != nil {
		t.Errorf("the server said %d bytes and ended with %v, want none and an orderly end", len(out.said), out.err)
	}
	if out.took != want {
		t.Errorf("the server ended after %s, want %s", out.took, want)
	}
}

// probes are first flights that are no request.
func probes(t testing.TB, c *aead.Cipher) map[string][]byte {
	all := map[string][]byte{
		"HTTP":  []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
		"TLS":   append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3}, noise(506)...),
		"SSH":   []byte("SSH-2.0-OpenSSH_9.6\r\n"),
		"SOCKS": {5, 1, 0},
		"zeros": make([]byte, 221),
		"ones":  bytes.Repeat([]byte{0xFF}, 221),
	}
	sizes := []int{180, 221, 300, 402, 1000, 1460, 5000, 16384, 20000}
	for n := range 101 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		all[fmt.Sprintf("%d random bytes", n)] = noise(n)
	}
	good := hello(t, c, "hello")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		all[fmt.Sprintf("byte %d of a request changed", i)] = bad
	}
	all["request cut off"] = good[:len(good)-1]
	return all
}

func TestProbes(t *testing.T) {
	for name, probe := range probes(t, newCipher(t)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				silent(t, probed(t, newCipher(t), func(client core.Stream) { _, _ = client.Write(probe) }), timeout)
			})
		})
	}
}

// TestProbeThenFIN has the prober end its side: the server ends at once.
func TestProbeThenFIN(t *testing.T) {
	for name, probe := range probes(t, newCipher(t)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				silent(t, probed(t, newCipher(t), func(client core.Stream) {
					_, _ = client.Write(probe)
					_ = client.CloseWrite()
				}), 0)
			})
		})
	}
}

func TestProbeByteByByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent(t, probed(t, newCipher(t), func(client core.Stream) {
			for _, b := range noise(300) {
				time.Sleep(30 * time.Millisecond)
				_, _ = client.Write([]byte{b})
			}
		}), timeout)
	})
}

// TestProbeFlood has the prober send for as long as it can: it is read slowly,
// so that it meets a full window, up to the end.
func TestProbeFlood(t *testing.T) {
	const window, first = 64 << 10, 256 << 10
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		stopped := make(chan struct{})
		out := probed(t, newCipher(t), func(client core.Stream) {
			defer close(stopped)
			for {
				time.Sleep(time.Millisecond)
				n, err := client.Write(make([]byte, 4<<10))
				if sent += n; err != nil {
					return
				}
			}
		})
		<-stopped
		// What a first read takes, what is read at 64 KiB/s, and a tail.
		if most := first + int(timeout/time.Second)*64<<10 + 4*window; sent > most {
			t.Errorf("the server took %d bytes, want at most %d", sent, most)
		}
		if len(out.said) > 0 || out.took < timeout {
			t.Errorf("the server said %d bytes and ended after %s, want none and %s", len(out.said), out.took, timeout)
		}
	})
}

// TestReplayIsAProbe checks that a recorded request is met as any other probe.
func TestReplayIsAProbe(t *testing.T) {
	c := newCipher(t)
	flight := hello(t, newCipher(t), "hello")
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			if i > 0 {
				silent(t, probed(t, c, func(client core.Stream) { _, _ = client.Write(flight) }), timeout)
				return
			}
			client, conn := coretest.Pipe()
			defer client.Close()
			if _, err := client.Write(flight); err != nil {
				t.Fatal(err)
			}
			r, p, err := server{cipher: c}.Handshake(t.Context(), conn, core.Client{})
			if err != nil || string(r.Payload) != "hello" || r.Target.String() != "example.com:443" {
				t.Fatalf("got %v, %v, want the request", r, err)
			}
			s, err := p.(core.Pending).Accept()
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		})
	}
}

// TestReject checks that a request that can't be met ends with the connection,
// without a word.
func TestReject(t *testing.T) {
	client, conn := coretest.Pipe()
	defer client.Close()
	if _, err := client.Write(hello(t, newCipher(t), "hello")); err != nil {
		t.Fatal(err)
	}
	_, p, err := server{cipher: newCipher(t)}.Handshake(t.Context(), conn, core.Client{})
	if err != nil {
		t.Fatal(err)
	}
	p.Reject(core.ErrDenied)
	if said, err := io.ReadAll(client); len(said) > 0 || err != nil {
		t.Errorf("got %d bytes, %v, want an orderly end", len(said), err)
	}
}

// TestHandshakeErrors checks that errors come through to the policies.
func TestHandshakeErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		send []byte
		want error
	}{
		{"short", noise(49), core.ErrShort},
		{"noise", noise(51), core.ErrAuth},
		{"nothing", nil, io.EOF},
	} {
		client, conn := coretest.Pipe()
		_, _ = client.Write(tc.send)
		_ = client.CloseWrite()
		r, p, err := server{cipher: newCipher(t)}.Handshake(t.Context(), conn, core.Client{})
		if r != nil || p != nil || !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, %v, %v, want %v", tc.name, r, p, err, tc.want)
		}
		conn.Close()
		client.Close()
	}
}
