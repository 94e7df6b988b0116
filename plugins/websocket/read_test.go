package websocket

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// frame returns the bytes of a frame to a stream of a role: masked to a server.
func frame(to role, final bool, op opcode, payload string) []byte {
	h := header{final: final, op: op, length: uint64(len(payload))}
	p := []byte(payload)
	if to == server {
		h.masked, h.key = true, [4]byte{0x37, 0xfa, 0x21, 0x3d}
		newMask(h.key).apply(p, p)
	}
	return append(appendHeader(nil, h), p...)
}

// sent reads all frames that a stream of a role has sent, until the wire's end, and returns
// them as text.
func sent(t testing.TB, from role, peer io.Reader) []string {
	t.Helper()
	wire, err := io.ReadAll(peer)
	if err != nil {
		t.Error(err)
	}
	var all []string
	for len(wire) > 0 {
		h, n, err := parseHeader(wire)
		if err != nil || len(wire) < n || uint64(len(wire)-n) < h.length || h.masked != (from == client) {
			t.Fatalf("got %x, %v, want a frame of a %s", wire, err, from)
		}
		p := bytes.Clone(wire[n : n+int(h.length)])
		if h.masked {
			newMask(h.key).apply(p, p)
		}
		name := map[opcode]string{opBinary: "binary", opClose: "close", opPong: "pong", opPing: "ping"}[h.op]
		if h.op == opClose {
			code, err := parseClose(p)
			if err != nil {
				t.Errorf("Close frame %x: %v", p, err)
			}
			p = []byte{'0' + byte(code/1000%10), '0' + byte(code/100%10), '0' + byte(code/10%10), '0' + byte(code%10)}
		}
		all = append(all, name+" "+string(p))
		wire = wire[n+int(h.length):]
	}
	return all
}

// TestFrames sends frames of all kinds to both roles, whole, byte by byte and in pieces: what
// the stream reads, how it ends and what it answers do not depend on how they arrive.
func TestFrames(t *testing.T) {
	type f struct {
		final   bool
		op      opcode
		payload string
	}
	for _, tc := range []struct {
		name   string
		frames []f
		extra  string // raw bytes in hex behind them
		want   string
		err    error // io.ErrUnexpectedEOF is a wire that ended without a Close frame
		sent   string
	}{
		{"a message", []f{{true, opBinary, "Hello"}}, "", "Hello", io.ErrUnexpectedEOF, ""},
		{"messages", []f{{true, opBinary, "Hel"}, {true, opBinary, ""}, {true, opBinary, "lo"}}, "", "Hello", io.ErrUnexpectedEOF, ""},
		{"fragments", []f{{false, opBinary, "Hel"}, {false, opContinuation, "l"}, {false, opContinuation, ""}, {true, opContinuation, "o"}}, "", "Hello", io.ErrUnexpectedEOF, ""},
		{"long", []f{{true, opBinary, strings.Repeat("x", 126)}, {true, opBinary, strings.Repeat("y", 70000)}}, "",
			strings.Repeat("x", 126) + strings.Repeat("y", 70000), io.ErrUnexpectedEOF, ""},
		{"ping between fragments", []f{{false, opBinary, "Hel"}, {true, opPing, "are you there"}, {true, opContinuation, "lo"}}, "", "Hello", io.ErrUnexpectedEOF, "pong are you there"},
		{"long ping", []f{{true, opPing, strings.Repeat("p", 125)}, {true, opBinary, "x"}}, "", "x", io.ErrUnexpectedEOF, "pong " + strings.Repeat("p", 125)},
		{"empty ping", []f{{true, opPing, ""}}, "", "", io.ErrUnexpectedEOF, "pong "},
		{"pong", []f{{true, opPong, "unasked"}, {true, opBinary, "x"}}, "", "x", io.ErrUnexpectedEOF, ""},
		{"close", []f{{true, opBinary, "Hello"}, {true, opClose, "\x03\xe8"}, {true, opBinary, "late"}}, "", "Hello", io.EOF, ""},
		{"close with a reason", []f{{true, opClose, "\x03\xe9going"}}, "", "", io.EOF, ""},
		{"empty close", []f{{true, opBinary, "Hello"}, {true, opClose, ""}}, "", "Hello", io.EOF, ""},
		{"close in a message", []f{{false, opBinary, "Hel"}, {true, opClose, ""}}, "", "Hel", io.EOF, ""},
		{"close for a failure", []f{{true, opBinary, "Hello"}, {true, opClose, "\x03\xf3"}}, "", "Hello", io.ErrUnexpectedEOF, ""},
		{"close with half a code", []f{{true, opClose, "\x03"}}, "", "", core.ErrMalformed, "close 1002"},
		{"close with a code of none", []f{{true, opClose, "\x03\xed"}}, "", "", core.ErrMalformed, "close 1002"},
		{"text", []f{{true, opBinary, "a"}, {true, opText, "b"}}, "", "a", core.ErrMalformed, "close 1003"},
		{"continuation of nothing", []f{{true, opBinary, "a"}, {true, opContinuation, "b"}}, "", "a", core.ErrMalformed, "close 1002"},
		{"message in a message", []f{{false, opBinary, "a"}, {true, opBinary, "b"}}, "", "a", core.ErrMalformed, "close 1002"},
		{"unknown opcode", []f{{true, opBinary, "a"}}, "83 80 00000000", "a", core.ErrMalformed, "close 1002"},
		{"reserved bit", []f{{true, opBinary, "a"}}, "c2 80 00000000", "a", core.ErrMalformed, "close 1002"},
		{"part of a header", []f{{true, opBinary, "a"}}, "82", "a", io.ErrUnexpectedEOF, ""},
		{"nothing", nil, "", "", io.ErrUnexpectedEOF, ""},
	} {
		for _, to := range []role{server, client} {
			for _, piece := range []int{1 << 20, 1, 7} {
				t.Run(tc.name+"/"+string(to), func(t *testing.T) {
					s, peer := raw(t, to)
					var wire []byte
					for _, f := range tc.frames {
						wire = append(wire, frame(to, f.final, f.op, f.payload)...)
					}
					wire = append(wire, unhex(t, tc.extra)...)
					var got []byte
					var err error
					coretest.Together(func() {
						for ; len(wire) > 0; wire = wire[min(piece, len(wire)):] {
							if _, err := peer.Write(wire[:min(piece, len(wire))]); err != nil {
								t.Error(err)
							}
						}
						_ = peer.CloseWrite()
					}, func() {
						got, err = readAll(s, piece)
					})
					if string(got) != tc.want || !errors.Is(err, tc.err) {
						t.Errorf("got %.100q, %v, want %.100q, %v", got, err, tc.want, tc.err)
					}
					s.Stream.Close()
					if answers := strings.Join(sent(t, to, peer), ", "); answers != tc.sent {
						t.Errorf("it sent %q, want %q", answers, tc.sent)
					}
				})
			}
		}
	}
}

// readAll reads to the end, size bytes at once, and waits before each read. It returns the
// error that repeats.
func readAll(s *stream, size int) (all []byte, err error) {
	for p := make([]byte, min(size, 4096)); ; {
		if err := s.WaitRead(); err != nil {
			return all, err
		}
		n, err := s.Read(p)
		if all = append(all, p[:n]...); err != nil {
			if _, again := s.Read(p); again != err {
				return all, errors.New("the error does not repeat")
			}
			return all, err
		}
	}
}

// A server refuses frames without a mask, a client those with one.
func TestMasks(t *testing.T) {
	for _, r := range []role{server, client} {
		s, peer := raw(t, r)
		other := map[role]role{server: client, client: server}[r]
		coretest.Write(t, peer, frame(other, true, opBinary, "Hello, world"))
		if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, core.ErrMalformed) {
			t.Errorf("%s: got %d, %v, want core.ErrMalformed", r, n, err)
		}
		s.Close()
		if answers := strings.Join(sent(t, r, peer), ", "); answers != "close 1002" {
			t.Errorf("%s: it sent %q, want status 1002 alone", r, answers)
		}
	}
}

// A wait ends at the first byte of a payload and not before: neither for a header nor for a
// ping, which is answered meanwhile. A deadline in between loses nothing.
func TestWaitIsForPayload(t *testing.T) {
	s, peer := raw(t, server)
	message := frame(server, true, opBinary, strings.Repeat("Hello", 100))
	for _, part := range [][]byte{frame(server, true, opPing, "x"), message[:1], message[1:7], message[7:8]} {
		coretest.Write(t, peer, part)
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		if err := s.WaitRead(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%x: got %v, want a timeout", part, err)
		}
		if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%x: got %d, %v, want a timeout", part, n, err)
		}
	}
	_ = s.SetReadDeadline(time.Now().Add(coretest.Patience))
	coretest.Read(t, peer, []byte("\x8a\x01x"))
	coretest.Write(t, peer, message[8:])
	if err := s.WaitRead(); err != nil {
		t.Fatal(err)
	}
	coretest.Read(t, s, []byte(strings.Repeat("Hello", 100)))
}

// No mixture of frames, pieces, waits and sizes loses or changes a byte.
func TestReadLosesNothing(t *testing.T) {
	for _, to := range []role{server, client} {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		s, peer := raw(t, to)
		want := coretest.Pattern(300_000, 1)
		coretest.Together(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var wire []byte
			for rest, open := want, false; len(rest) > 0; {
				n := min(len(rest), rnd.IntN(1<<(1+rnd.IntN(17))))
				op, final := opBinary, rnd.IntN(2) == 0
				if open {
					op = opContinuation
				}
				open = !final
				if rnd.IntN(4) == 0 {
					wire = append(wire, frame(to, true, opPong, "ping"[:rnd.IntN(5)])...)
				}
				wire = append(wire, frame(to, final, op, string(rest[:n]))...)
				rest = rest[n:]
			}
			wire = append(wire, frame(to, true, opClose, "")...)
			for len(wire) > 0 {
				n := min(len(wire), 1+rnd.IntN(1<<(1+rnd.IntN(17))))
				coretest.Write(t, peer, wire[:n])
				wire = wire[n:]
			}
		}, func() {
			rnd := rand.New(rand.NewPCG(seed, 2))
			var got []byte
			for p := make([]byte, 64<<10); ; {
				if rnd.IntN(2) == 0 {
					if err := s.WaitRead(); err != nil {
						t.Error(err)
						return
					}
				}
				n, err := s.Read(p[:1+rnd.IntN(1<<(1+rnd.IntN(16)))])
				if got = append(got, p[:n]...); err != nil {
					if err != io.EOF || !bytes.Equal(got, want) {
						t.Errorf("got %d bytes, %v, want %d and io.EOF", len(got), err, len(want))
					}
					return
				}
			}
		})
	}
}

// A burst of the smallest frames costs a time that grows with its length alone.
func BenchmarkSmallFrames(b *testing.B) {
	one := frame(server, true, opBinary, "x")
	wire := bytes.Repeat(one, burst/len(one))
	s, p := &stream{role: server}, make([]byte, len(wire))
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if copy(p, wire); s.unframe(p) != len(wire)/len(one) {
			b.Fatal(s.reads.err)
		}
	}
}

// FuzzRead reads any bytes as frames, in one piece and in small ones: both read the same, and
// end in the same way.
func FuzzRead(f *testing.F) {
	for _, seed := range [][]byte{
		nil, frame(server, true, opBinary, "Hello"),
		append(frame(server, false, opBinary, "Hel"), frame(server, true, opContinuation, "lo")...),
		append(frame(server, true, opPing, "x"), frame(server, true, opClose, "\x03\xe8")...),
		frame(client, true, opBinary, "Hello"), frame(server, true, opText, "x"),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, wire []byte, toServer bool) {
		to := client
		if toServer {
			to = server
		}
		read := func(piece int) (string, string) {
			s := &stream{Stream: null{}, role: to}
			s.reads.in = &pieces{rest: wire, size: piece}
			all, err := readAll(s, piece)
			return string(all), err.Error()
		}
		whole, wholeErr := read(1 << 20)
		for _, piece := range []int{1, 5} {
			if got, err := read(piece); got != whole || err != wholeErr {
				t.Errorf("pieces of %d: got %q, %s, want %q, %s", piece, got, err, whole, wholeErr)
			}
		}
		if len(whole) > len(wire) {
			t.Errorf("%d bytes of %d", len(whole), len(wire))
		}
	})
}

// null is a wire that takes everything.
type null struct{ core.Stream }

func (null) Write(p []byte) (int, error) { return len(p), nil }
func (null) CloseWrite() error           { return nil }

// pieces is a wire that is read in pieces.
type pieces struct {
	core.Stream
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	if p.rest = p.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (p *pieces) WaitRead() error { return nil }
