package ciphertest

import (
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// script is a wire whose remote end has sent everything: each Read returns one segment at
// most, and io.EOF follows. It records writes. It must be used by one goroutine.
type script struct {
	segments [][]byte
	fail     error // the error of Write, if not nil

	given  []byte   // the bytes that Read returned
	wrote  [][]byte // a copy of each Write
	ended  bool     // CloseWrite was called
	closed bool
}

var _ core.Stream = (*script)(nil)

func (s *script) Read(p []byte) (int, error) {
	if s.closed {
		return 0, net.ErrClosed
	}
	if len(s.segments) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.segments[0])
	s.given = append(s.given, p[:n]...)
	if s.segments[0] = s.segments[0][n:]; len(s.segments[0]) == 0 {
		s.segments = s.segments[1:]
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	s.wrote = append(s.wrote, slices.Clone(p))
	return len(p), nil
}

func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) CloseWrite() error                { s.ended = true; return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) LocalAddr() net.Addr              { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }

// waiting is a script that supports waiting.
type waiting struct{ *script }

func (waiting) WaitRead() error { return nil }

// wrapped is a TCP connection that supports waiting but is not bare.
type wrapped struct{ core.Stream }

func (w wrapped) WaitRead() error { return netio.WaitReadable(w.Stream) }

// opaque hides all methods except those of core.Stream, as a TLS stream does.
type opaque struct{ core.Stream }

// split cuts the bytes of a wire into the segments of its Reads.
type split struct {
	name string
	cut  func(b []byte) [][]byte
}

func whole(b []byte) [][]byte {
	if len(b) == 0 {
		return nil
	}
	return [][]byte{b}
}

func bytewise(b []byte) [][]byte {
	var segments [][]byte
	for i := range b {
		segments = append(segments, b[i:i+1])
	}
	return segments
}

// random returns a split into segments of 1 to most bytes, and logs its seed.
func random(t testing.TB, most int) func(b []byte) [][]byte {
	seed := rand.Uint64()
	t.Logf("seed of the random split: %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	return func(b []byte) [][]byte {
		var segments [][]byte
		for len(b) > 0 {
			n := min(len(b), 1+r.IntN(most))
			segments, b = append(segments, b[:n]), b[n:]
		}
		return segments
	}
}

// someone is the client address of accepted connections.
var someone = netip.MustParseAddrPort("192.0.2.7:4711")

// target returns the target of requests.
func target(t testing.TB) core.Addr {
	t.Helper()
	a, err := core.NewAddr("example.com", 443)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// request is a client's stream and the bytes that it sent.
type request struct {
	core.Stream
	wire *script
}

// dial sends payload from a client of c. The stream is closed at the end of the test.
func dial(t testing.TB, c core.Cipher, payload []byte) request {
	t.Helper()
	wire := &script{}
	s, err := c.DialStream(target(t), payload, func(hello []byte) (core.Stream, error) {
		_, err := wire.Write(hello)
		return wire, err
	})
	if err != nil {
		t.Fatalf("dial with %d bytes: %v", len(payload), err)
	}
	t.Cleanup(func() { s.Close() })
	return request{s, wire}
}

// sent returns all bytes that the client wrote.
func (r request) sent() []byte { return slices.Concat(r.wire.wrote...) }

// accept accepts the request of wire with a server of c.
func accept(t testing.TB, c core.Cipher, wire core.Stream) core.Accepted {
	t.Helper()
	a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	t.Cleanup(func() { a.Stream.Close() })
	if a.Target != target(t) {
		t.Errorf("got target %s, want %s", a.Target, target(t))
	}
	return a
}

// rest reads an accepted stream to its end or its first error, and returns all bytes for
// the target.
func rest(a core.Accepted) ([]byte, error) {
	b := slices.Clone(a.Payload)
	more, err := io.ReadAll(a.Stream)
	return append(b, more...), err
}

// noises returns a generator of noise, and logs its seed.
func noises(t testing.TB) func(size int) []byte {
	seed := rand.Uint64()
	t.Logf("seed of the noise: %d", seed)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	return func(size int) []byte {
		b := make([]byte, size)
		_, _ = r.Read(b) // never fails
		return b
	}
}
