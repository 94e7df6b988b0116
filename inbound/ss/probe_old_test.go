package ss

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/overstream"
	"github.com/umbra-proxy/umbra/inbound"
)

// oldCipher returns a function that makes ciphers of a method which does not
// authenticate. What is made of the key is made once.
func oldCipher(t testing.TB, s stream.Spec) func() *stream.Cipher {
	t.Helper()
	k := []byte("correct horse battery staple")
	if s.KeySize > 0 {
		k = key.FromPassword(string(k), s.KeySize)
	}
	if s.New != nil {
		start, err := s.New(k)
		s.New = func([]byte) (stream.Start, error) { return start, err }
	}
	return func() *stream.Cipher {
		c, err := stream.New(s, k, replay.NewSalts(1<<10))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// isRequest reports whether a server takes a probe for a request, and checks that
// it is refused as a probe if not.
func isRequest(t *testing.T, c core.Cipher, probe []byte) bool {
	t.Helper()
	client, conn := coretest.Pipe()
	defer client.Close()
	defer conn.Close()
	_, _ = client.Write(probe)
	_ = client.CloseWrite()
	var asked coretest.Asked
	err := newServer(t, c, inbound.Rejection{}).Handshake(t.Context(), conn, core.Client{}, &asked)
	r, p := asked.Request, asked.Pending
	if err != nil && core.IsAuthenticated(err) {
		t.Errorf("%d bytes: %v counts as authenticated", len(probe), err)
	}
	if (r == nil) != (err != nil) || (p == nil) != (err != nil) {
		t.Errorf("%d bytes: got %v, %v, %v", len(probe), r, p, err)
	}
	return err == nil
}

// TestOldProbes sends random bytes of every length up to 300 to every method that
// does not authenticate. Those few that happen to be an address are requests: no
// such method can tell. All others are met with silence up to the deadline, or up
// to the prober's end.
func TestOldProbes(t *testing.T) {
	const longest = 300
	for _, s := range stream.Specs() {
		t.Run(s.Method, func(t *testing.T) {
			fresh := oldCipher(t, s)
			requests := 0
			for n := range longest + 1 {
				probe := noise(n)
				if isRequest(t, fresh(), probe) {
					requests++
					continue
				}
				for _, fin := range []bool{false, true} {
					want := timeout
					if fin {
						want = 0
					}
					synctest.Test(t, func(t *testing.T) {
						silent(t, probed(t, newServer(t, fresh(), inbound.Rejection{}), func(client core.Stream) {
							_, _ = client.Write(probe)
							if fin {
								_ = client.CloseWrite()
							}
						}), option.RejectDrain, want)
					})
				}
			}
			if requests > longest/20 {
				t.Errorf("%d probes of %d were taken for requests, want about one in 128", requests, longest)
			}
		})
	}
}

// TestOldProbeByteByByte sends noise slowly: the server reacts at its deadline,
// whatever it has understood by then.
func TestOldProbeByteByByte(t *testing.T) {
	for _, s := range stream.Specs() {
		fresh := oldCipher(t, s)
		probe := noise(300)
		for n := 301; isRequest(t, fresh(), probe); n++ {
			probe = noise(n)
		}
		synctest.Test(t, func(t *testing.T) {
			silent(t, probed(t, newServer(t, fresh(), inbound.Rejection{}), func(client core.Stream) {
				for _, b := range probe {
					time.Sleep(30 * time.Millisecond)
					_, _ = client.Write([]byte{b})
				}
			}), option.RejectDrain, timeout)
		})
	}
}

// TestOldReplayIsAProbe sends a recorded request again, where a method has an IV to
// know it by.
func TestOldReplayIsAProbe(t *testing.T) {
	for _, s := range stream.Specs() {
		if s.IVSize == 0 {
			continue
		}
		t.Run(s.Method, func(t *testing.T) {
			fresh := oldCipher(t, s)
			c, flight := fresh(), hello(t, fresh(), "hello")
			if !isRequest(t, c, flight) {
				t.Fatal("a request was refused")
			}
			synctest.Test(t, func(t *testing.T) {
				silent(t, probed(t, newServer(t, c, inbound.Rejection{}), func(client core.Stream) { _, _ = client.Write(flight) }), option.RejectDrain, timeout)
			})
		})
	}
}

// TestOldNoise counts how often noise is a request: the page of the methods tells.
func TestOldNoise(t *testing.T) {
	const rounds, size = 20_000, 60
	s := stream.Specs()[0]
	seed := rand.Uint64()
	t.Logf("seed of the noise: %d", seed)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	c := oldCipher(t, s)()
	requests := 0
	for range rounds {
		probe := make([]byte, size)
		_, _ = r.Read(probe) // never fails
		client, conn := coretest.Pipe()
		_, _ = client.Write(probe)
		_ = client.CloseWrite()
		a, err := c.AcceptStream(conn, core.Caller{})
		switch {
		case err == nil:
			requests++
			a.Stream.Close()
		case !errors.Is(err, core.ErrAuth) && !errors.Is(err, core.ErrShort), !bytes.Equal(a.Payload, probe):
			t.Fatalf("got %v and %d bytes, want core.ErrAuth or core.ErrShort and %d", err, len(a.Payload), size)
		}
		conn.Close()
		client.Close()
	}
	if want := rounds / 128; requests < want/2 || requests > want*3/2 {
		t.Errorf("got %d requests of %d, want about %d", requests, rounds, want)
	}
}

// TestOldOverStream changes a byte of a client's request for UDP over its stream on the way,
// which a method that does not authenticate can't tell: it counts as no mistake of a client
// that has proved its key.
func TestOldOverStream(t *testing.T) {
	for _, s := range stream.Specs() {
		fresh := oldCipher(t, s)
		client, conn := coretest.Pipe()
		up, err := fresh().DialStream(overstream.Target(), []byte{0xff}, func(hello []byte) (core.Stream, error) {
			_, err := client.Write(hello)
			return client, err
		})
		if err != nil {
			t.Fatal(err)
		}
		server := newServer(t, fresh(), inbound.Rejection{})
		server.quota = new(inbound.Quota)
		if err := server.Handshake(t.Context(), conn, core.Client{}, new(coretest.Asked)); err == nil || core.IsAuthenticated(err) {
			t.Errorf("%s: got %v, want an error that proves nothing", s.Method, err)
		}
		up.Close()
		conn.Close()
	}
}
