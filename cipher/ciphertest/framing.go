package ciphertest

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// Boundaries of known methods in bytes: the largest payloads of chunks, and the buffer of a
// burst.
const (
	shortChunk = 0x3FFF // SIP004
	longChunk  = 0xFFFF // SIP022
	buffer     = 8*(16<<10+64) + 1024
)

// exchange sends up from a client and down from a server, and checks the bytes that arrive.
// The wires deliver in the segments of cut.
func (k kit) exchange(t *testing.T, up, down []byte, cut func([]byte) [][]byte, wrap func(*script) core.Stream) {
	t.Helper()
	client := dial(t, k.cipher(t), up)
	incoming := &script{segments: cut(client.sent())}
	a := accept(t, k.cipher(t), wrap(incoming))
	if got, err := rest(a); !bytes.Equal(got, up) || err != nil {
		t.Fatalf("%d bytes up: the server got %d, %v", len(up), len(got), err)
	}
	if len(down) > 0 {
		if n, err := a.Stream.Write(down); n != len(down) || err != nil {
			t.Fatalf("write of %d bytes: got %d, %v", len(down), n, err)
		}
	}
	client.wire.segments = cut(bytes.Join(incoming.wrote, nil))
	if got, err := io.ReadAll(client); !bytes.Equal(got, down) || err != nil {
		t.Fatalf("%d bytes down: the client got %d, %v", len(down), len(got), err)
	}
	client.Close()
	a.Stream.Close()
}

// wraps are the kinds of wires of an exchange.
var wraps = []struct {
	name string
	wrap func(*script) core.Stream
}{
	{"read", func(s *script) core.Stream { return s }},
	{"wait and read", func(s *script) core.Stream { return waiting{s} }},
}

func (k kit) everySize(t *testing.T) {
	for _, s := range []split{{"whole", whole}, {"byte by byte", bytewise}, {"random", random(t, 40)}} {
		for _, w := range wraps {
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				for n := range 301 {
					k.exchange(t, coretest.Pattern(n, 1), coretest.Pattern(n, 2), s.cut, w.wrap)
				}
			})
		}
	}
}

func (k kit) borders(t *testing.T) {
	address := len(socksaddr.Append(nil, target(t)))
	var sizes []int
	for _, border := range []int{1 << 10, 2 << 10, 8 << 10, shortChunk - address, shortChunk, 2*shortChunk - address, 2 * shortChunk, longChunk - address, longChunk} {
		for d := -2; d <= 2; d++ {
			sizes = append(sizes, border+d)
		}
	}
	for _, s := range []split{{"whole", whole}, {"small", random(t, 100)}, {"large", random(t, 40_000)}} {
		for _, w := range wraps {
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				for _, n := range sizes {
					k.exchange(t, coretest.Pattern(n, 1), coretest.Pattern(n, 2), s.cut, w.wrap)
				}
			})
		}
	}
	t.Run("byte by byte", func(t *testing.T) {
		k.exchange(t, coretest.Pattern(shortChunk+1, 1), coretest.Pattern(shortChunk+1, 2), bytewise, wraps[0].wrap)
	})
}

// large sends more than any buffer holds, and sizes around the end of a buffer.
func (k kit) large(t *testing.T) {
	cut := random(t, 100_000)
	for n := buffer - 1500; n <= buffer+100; n += 41 {
		k.exchange(t, coretest.Pattern(n, 1), coretest.Pattern(n, 2), whole, wraps[n%2].wrap)
	}
	for _, n := range []int{3*buffer + 1, 1 << 20} {
		for _, w := range wraps {
			k.exchange(t, coretest.Pattern(n, 1), coretest.Pattern(n, 2), cut, w.wrap)
		}
	}
}

func (k kit) targets(t *testing.T) {
	long := bytes.Repeat([]byte("a.bc."), 50)
	for _, s := range []string{"192.0.2.1:1", "[2001:db8::1]:65535", "a:80", "xn--bcher-kva.example:443", string(long[:249]) + ".de:53"} {
		t.Run(fmt.Sprintf("%.30s", s), func(t *testing.T) {
			want, err := core.ParseAddr(s)
			if err != nil {
				t.Fatal(err)
			}
			wire := &script{}
			c, err := k.cipher(t).DialStream(want, []byte("x"), func(hello []byte) (core.Stream, error) {
				wire.segments = bytewise(bytes.Clone(hello))
				return &script{}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			a, err := k.cipher(t).AcceptStream(wire, core.Caller{Addr: someone})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Stream.Close()
			if got, err := rest(a); a.Target != want || string(got) != "x" || err != nil {
				t.Errorf("got %s, %q, %v, want %s, %q, nil", a.Target, got, err, want, "x")
			}
		})
	}
}
