package ciphertest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// plain returns the payloads of a stream under attack, each sent in a separate write.
func plain() [][]byte {
	return [][]byte{[]byte("one"), coretest.Pattern(40, 1), []byte("3"), coretest.Pattern(100, 2)}
}

// An attack returns the bytes that arrive instead of writes. It must not modify writes.
type attack func(writes [][]byte) [][]byte

// side is one direction of a stream under attack.
type side struct {
	name string
	// run sends plain through an attack, and returns the bytes that were read.
	run func(t *testing.T, a attack, read reading) ([]byte, error)
}

// reading is a way to read a stream to its end or first error.
// reading is a way of reading a stream to its end or first error.
type reading struct {
	name string
	wrap func(*script) core.Stream
	all  func(core.Stream) ([]byte, error)
}

// readings are the ways of reading a stream under attack.
var readings = []reading{
	{"read", wraps[0].wrap, func(s core.Stream) ([]byte, error) { return io.ReadAll(s) }},
	{"wait and read", wraps[1].wrap, func(s core.Stream) ([]byte, error) { return io.ReadAll(s) }},
	{"burst", wraps[1].wrap, emptied},
}

// emptied reads s by bursts, if s supports them.
func emptied(s core.Stream) ([]byte, error) {
	w, ok := s.(core.BurstWriter)
	if !ok {
		return io.ReadAll(s)
	}
	sink := &script{}
	for {
		if _, err := w.WriteBurst(sink); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return slices.Concat(sink.wrote...), err
		}
	}
}

// sides returns both directions.
func (k kit) sides(t *testing.T) (request, answer side) {
	client := dial(t, k.cipher(t), nil)
	hello := client.sent()
	for _, p := range plain() {
		put(t, client, p)
	}
	after := client.wire.wrote[1:]
	request = side{"request", func(t *testing.T, at attack, read reading) ([]byte, error) {
		wire := append(bytes.Clone(hello), slices.Concat(at(after)...)...)
		a := accept(t, k.cipher(t), read.wrap(&script{segments: whole(wire)}))
		defer a.Stream.Close()
		return finish(t, a.Stream, read)
	}}
	server := k.cipher(t)
	answer = side{"answer", func(t *testing.T, at attack, read reading) ([]byte, error) {
		wire := &script{}
		s, err := k.cipher(t).DialStream(target(t), nil, func(hello []byte) (core.Stream, error) {
			_, err := wire.Write(hello)
			return read.wrap(wire), err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		incoming := &script{segments: wire.wrote}
		a := accept(t, server, incoming)
		for _, p := range plain() {
			put(t, a.Stream, p)
		}
		a.Stream.Close()
		wire.segments = whole(slices.Concat(at(incoming.wrote)...))
		return finish(t, s, read)
	}}
	return request, answer
}

// finish reads s, and checks that an error is returned again by the next read.
func finish(t *testing.T, s core.Stream, read reading) ([]byte, error) {
	t.Helper()
	got, err := read.all(s)
	if err != nil {
		if n, again := s.Read(make([]byte, 1)); n != 0 || again == nil {
			t.Errorf("read after %v: got %d, %v, want an error again", err, n, again)
		}
	}
	return got, err
}

// tampered changes byte i of the writes. It stores the index of the write with that byte
// in at.
func tampered(i int, flip byte, at *int) attack {
	return func(writes [][]byte) [][]byte {
		out, pos := slices.Clone(writes), 0
		for n, w := range writes {
			if i < pos+len(w) {
				out[n] = bytes.Clone(w)
				out[n][i-pos] ^= flip
				*at = n
				return out
			}
			pos += len(w)
		}
		*at = -1
		return out
	}
}

func (k kit) tamperedStream(t *testing.T) {
	request, _ := k.sides(t)
	request.tamper(t)
}

func (k kit) tamperedAnswer(t *testing.T) {
	_, answer := k.sides(t)
	answer.tamper(t)
}

// tamper changes each byte of a stream. Only the writes before the changed byte may
// arrive.
func (s side) tamper(t *testing.T) {
	for _, read := range readings {
		t.Run(read.name, func(t *testing.T) {
			for i := 0; ; i++ {
				for _, flip := range flips {
					at := 0
					got, err := s.run(t, tampered(i, flip, &at), read)
					if at < 0 {
						return // past the end
					}
					if want := slices.Concat(plain()[:at]...); !bytes.Equal(got, want) {
						t.Fatalf("byte %d of the %s: got %d bytes, want the %d before it", i, s.name, len(got), len(want))
					}
					if !errors.Is(err, core.ErrAuth) && !errors.Is(err, core.ErrMalformed) {
						t.Fatalf("byte %d of the %s: got %v, want core.ErrAuth or core.ErrMalformed", i, s.name, err)
					}
				}
			}
		})
	}
}

// movedChunks removes, duplicates and swaps complete chunks.
func (k kit) movedChunks(t *testing.T) {
	request, answer := k.sides(t)
	for _, s := range []side{request, answer} {
		for _, tc := range []struct {
			name string
			at   attack
			good int // writes that arrive
		}{
			{"first lost", func(w [][]byte) [][]byte { return w[1:] }, 0},
			{"second lost", func(w [][]byte) [][]byte { return [][]byte{w[0], w[2], w[3]} }, 1},
			{"doubled", func(w [][]byte) [][]byte { return [][]byte{w[0], w[1], w[1], w[2]} }, 2},
			{"swapped", func(w [][]byte) [][]byte { return [][]byte{w[0], w[2], w[1], w[3]} }, 1},
			{"began again", func(w [][]byte) [][]byte { return append(slices.Clone(w), w...) }, 4},
		} {
			for _, read := range readings {
				t.Run(s.name+", "+tc.name+", "+read.name, func(t *testing.T) {
					got, err := s.run(t, tc.at, read)
					if want := slices.Concat(plain()[:tc.good]...); !bytes.Equal(got, want) {
						t.Errorf("got %d bytes, want %d", len(got), len(want))
					}
					if !errors.Is(err, core.ErrAuth) && !errors.Is(err, core.ErrMalformed) {
						t.Errorf("got %v, want core.ErrAuth or core.ErrMalformed", err)
					}
				})
			}
		}
	}
}

func (k kit) truncatedStream(t *testing.T) {
	request, _ := k.sides(t)
	request.truncate(t)
}

func (k kit) truncatedAnswer(t *testing.T) {
	_, answer := k.sides(t)
	answer.truncate(t)
}

// truncate ends a stream at each byte. At the end of a write the reader must get an orderly
// end; within a write it must get an error. An answer may also end before its first chunk
// if the salt is sent separately.
func (s side) truncate(t *testing.T) {
	for _, read := range readings {
		t.Run(read.name, func(t *testing.T) {
			early := 0 // orderly ends within the first write
			for n, past := 0, false; !past; n++ {
				good, border := 0, false
				got, err := s.run(t, func(w [][]byte) [][]byte {
					all := slices.Concat(w...)
					past = n > len(all)
					pos := 0
					for _, p := range w {
						border = border || n == pos
						if pos += len(p); pos <= n {
							good++
						}
					}
					border = border || n >= pos
					return [][]byte{all[:min(n, len(all))]}
				}, read)
				if want := slices.Concat(plain()[:good]...); !bytes.Equal(got, want) {
					t.Fatalf("the %s cut at %d: got %d bytes, want %d", s.name, n, len(got), len(want))
				}
				switch {
				case border && err != nil:
					t.Fatalf("the %s cut at %d, between chunks: got %v, want an orderly end", s.name, n, err)
				case !border && err == nil && good == 0 && early == 0:
					early++
				case !border && err == nil:
					t.Fatalf("the %s cut at %d, inside a chunk: got an orderly end", s.name, n)
				}
			}
		})
	}
}

// absorbs checks that a server's stream with invalid bytes reads the rest without a
// reaction, instead of ending at the invalid byte.
func (k kit) absorbs(t *testing.T) {
	flight := dial(t, k.cipher(t), nil).sent()
	noise := coretest.Pattern(4000, 7)
	wire := &script{segments: [][]byte{flight, noise[:1000], noise[1000:2000], noise[2000:3000], noise[3000:]}}
	a := accept(t, k.cipher(t), wire)
	if _, err := io.ReadAll(a.Stream); err == nil {
		t.Fatal("noise after the request was read to an orderly end")
	}
	absorber, ok := a.Stream.(core.Absorber)
	if !ok {
		t.Fatalf("%T is not a core.Absorber: the end of the connection reveals to the client which byte was wrong", a.Stream)
	}
	absorber.Absorb()
	if len(wire.segments) > 0 || len(wire.wrote) > 0 {
		t.Errorf("%d segments are left of the noise and %d writes were made, want none", len(wire.segments), len(wire.wrote))
	}
}

// interrupts checks that the client of a stream that its server interrupts reads all that
// came before and then an error, whether it had an answer or not.
func (k kit) interrupts(t *testing.T) {
	for _, answer := range [][]byte{nil, []byte("answer")} {
		for range 50 { // the mark has a random length
			d := dial(t, k.cipher(t), nil)
			wire := &script{segments: [][]byte{d.sent()}}
			a := accept(t, k.cipher(t), wire)
			i, ok := a.Stream.(core.Interrupter)
			if !ok {
				t.Fatalf("%T is not a core.Interrupter: its client can't tell a reset of the target from its end", a.Stream)
			}
			if len(answer) > 0 {
				coretest.Write(t, a.Stream, answer)
			}
			if err := i.Interrupt(); err != nil {
				t.Fatal(err)
			}
			d.wire.segments = wire.wrote
			got, err := io.ReadAll(d)
			if !bytes.Equal(got, answer) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("answer %q: got %q, %v, want an unexpected end", answer, got, err)
			}
		}
	}
}
