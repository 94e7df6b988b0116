package ss

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// timeout is the handshake timeout of the tests that run in still time.
const timeout = time.Minute

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

// newServer returns the Handshaker of a cipher.
func newServer(t testing.TB, c core.Cipher, r inbound.Rejection) server {
	t.Helper()
	rejecter, err := inbound.NewRejecter(env(c), r)
	if err != nil {
		t.Fatal(err)
	}
	return server{Rejecter: rejecter, cipher: c, timeout: timeout}
}

// ways are those of ending a connection that end it by themselves.
var ways = []option.Reject{option.RejectDrain, option.RejectClose, option.RejectReset}

// outcome is what a prober sees.
type outcome struct {
	said []byte        // by the server
	err  error         // of the read after it
	took time.Duration // from the accept to the end
}

// probed has conn go through the handshake and its failure, as core.Server does,
// and returns what client sees, which send speaks on.
func probed(t *testing.T, s server, send func(client core.Stream)) (out outcome) {
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
		err := s.Handshake(t.Context(), conn, core.Client{}, new(coretest.Asked))
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

// silent checks that the server said nothing and ended after want, in order or, if
// that is asked for, with a reset.
func silent(t *testing.T, out outcome, how option.Reject, want time.Duration) {
	t.Helper()
	reset := errors.Is(out.err, syscall.ECONNRESET)
	if len(out.said) > 0 || reset != (how == option.RejectReset) || out.err != nil && !reset {
		t.Errorf("%s: the server said %d bytes and ended with %v", how, len(out.said), out.err)
	}
	if out.took != want {
		t.Errorf("%s: the server ended after %s, want %s", how, out.took, want)
	}
}

// stillHello is hello at the time that each bubble begins with.
func stillHello(t *testing.T, m method) (flight []byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { flight = hello(t, m.cipher(t), "hello") })
	return flight
}

// probes are first flights that are no request, among them parts and changed forms
// of good, which is one.
func probes(good []byte) map[string][]byte {
	all := map[string][]byte{
		"HTTP":  []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
		"TLS":   append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3}, noise(506)...),
		"SSH":   []byte("SSH-2.0-OpenSSH_9.6\r\n"),
		"SOCKS": {5, 1, 0},
		"zeros": make([]byte, 221),
		"ones":  bytes.Repeat([]byte{0xFF}, 221),
	}
	sizes := []int{402, 1000, 1460, 5000, 16384, 20000}
	for n := range 301 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		all[fmt.Sprintf("%d random bytes", n)] = noise(n)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		all[fmt.Sprintf("byte %d of a request changed", i)] = bad
		all[fmt.Sprintf("request cut at %d", i)] = good[:i]
	}
	return all
}

func TestProbes(t *testing.T) {
	for _, m := range methods(t) {
		t.Run(m.name, func(t *testing.T) {
			all := probes(stillHello(t, m))
			for _, how := range ways {
				for name, probe := range all {
					synctest.Test(t, func(t *testing.T) {
						s := newServer(t, m.cipher(t), inbound.Rejection{Reject: how})
						silent(t, probed(t, s, func(client core.Stream) { _, _ = client.Write(probe) }), how, timeout)
					})
					if t.Failed() {
						t.Fatal(name)
					}
				}
			}
		})
	}
}

// TestProbeThenFIN has the prober end its side: the server ends at once.
func TestProbeThenFIN(t *testing.T) {
	for _, m := range methods(t) {
		t.Run(m.name, func(t *testing.T) {
			all := probes(stillHello(t, m))
			for _, how := range ways {
				for name, probe := range all {
					synctest.Test(t, func(t *testing.T) {
						s := newServer(t, m.cipher(t), inbound.Rejection{Reject: how})
						silent(t, probed(t, s, func(client core.Stream) {
							_, _ = client.Write(probe)
							_ = client.CloseWrite()
						}), how, 0)
					})
					if t.Failed() {
						t.Fatal(name)
					}
				}
			}
		})
	}
}

func TestProbeByteByByte(t *testing.T) {
	for _, m := range methods(t) {
		for _, how := range ways {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, m.cipher(t), inbound.Rejection{Reject: how})
				silent(t, probed(t, s, func(client core.Stream) {
					for _, b := range noise(300) {
						time.Sleep(30 * time.Millisecond)
						_, _ = client.Write([]byte{b})
					}
				}), how, timeout)
			})
		}
	}
}

// TestProbeFlood has the prober send for as long as it can: it is read slowly,
// so that it meets a full window, up to the end.
func TestProbeFlood(t *testing.T) {
	const window, first = 64 << 10, 256 << 10
	for _, how := range ways {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			stopped := make(chan struct{})
			s := newServer(t, newCipher(t), inbound.Rejection{Reject: how})
			out := probed(t, s, func(client core.Stream) {
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
				t.Errorf("%s: the server took %d bytes, want at most %d", how, sent, most)
			}
			if len(out.said) > 0 || out.took < timeout {
				t.Errorf("%s: the server said %d bytes and ended after %s, want none and %s", how, len(out.said), out.took, timeout)
			}
		})
	}
}

// TestReplayIsAProbe checks that a recorded request is met as any other probe.
func TestReplayIsAProbe(t *testing.T) {
	c := newCipher(t)
	flight := hello(t, newCipher(t), "hello")
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			if i > 0 {
				s := newServer(t, c, inbound.Rejection{})
				silent(t, probed(t, s, func(client core.Stream) { _, _ = client.Write(flight) }), option.RejectDrain, timeout)
				return
			}
			client, conn := coretest.Pipe()
			defer client.Close()
			if _, err := client.Write(flight); err != nil {
				t.Fatal(err)
			}
			var asked coretest.Asked
			err := newServer(t, c, inbound.Rejection{}).Handshake(t.Context(), conn, core.Client{}, &asked)
			r := asked.Request
			if err != nil || string(r.Payload) != "hello" || r.Target.String() != "example.com:443" {
				t.Fatalf("got %v, %v, want the request", r, err)
			}
			s, err := asked.Pending.Accept()
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		})
	}
}

// TestReject checks that the client of a request that can't be met gets an answer that is
// marked as incomplete, and the end of the connection.
func TestReject(t *testing.T) {
	client, conn := coretest.Pipe()
	defer client.Close()
	if _, err := client.Write(hello(t, newCipher(t), "hello")); err != nil {
		t.Fatal(err)
	}
	var asked coretest.Asked
	err := newServer(t, newCipher(t), inbound.Rejection{}).Handshake(t.Context(), conn, core.Client{}, &asked)
	if err != nil {
		t.Fatal(err)
	}
	asked.Reject(core.ErrDenied)
	if said, err := io.ReadAll(client); len(said) == 0 || err != nil {
		t.Errorf("got %d bytes, %v, want a mark and an orderly end", len(said), err)
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
		var asked coretest.Asked
		err := newServer(t, newCipher(t), inbound.Rejection{}).Handshake(t.Context(), conn, core.Client{}, &asked)
		if asked.Request != nil || !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, %v, want %v", tc.name, asked.Request, err, tc.want)
		}
		conn.Close()
		client.Close()
	}
}
