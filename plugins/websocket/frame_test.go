package websocket

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHeaderVectors has the examples of RFC 6455 §5.7, and the bounds of the lengths.
func TestHeaderVectors(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	for _, tc := range []struct {
		name, wire string
		want       header
	}{
		{"unmasked text", "81 05", header{final: true, op: opText, length: 5}},
		{"masked text", "81 85 37fa213d", header{final: true, op: opText, masked: true, key: key, length: 5}},
		{"first fragment", "01 03", header{op: opText, length: 3}},
		{"last fragment", "80 02", header{final: true, op: opContinuation, length: 2}},
		{"ping", "89 05", header{final: true, op: opPing, length: 5}},
		{"masked pong", "8a 85 37fa213d", header{final: true, op: opPong, masked: true, key: key, length: 5}},
		{"256 bytes", "82 7e 0100", header{final: true, op: opBinary, length: 256}},
		{"64 KiB", "82 7f 0000000000010000", header{final: true, op: opBinary, length: 1 << 16}},
		{"empty", "82 00", header{final: true, op: opBinary}},
		{"125 bytes", "82 7d", header{final: true, op: opBinary, length: 125}},
		{"126 bytes", "82 7e 007e", header{final: true, op: opBinary, length: 126}},
		{"65535 bytes", "82 7e ffff", header{final: true, op: opBinary, length: 65535}},
		{"the longest", "82 ff 7fffffffffffffff 37fa213d", header{final: true, op: opBinary, masked: true, key: key, length: 1<<63 - 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wire := unhex(t, tc.wire)
			for n := range wire {
				if _, need, err := parseHeader(wire[:n]); err != nil || need <= n || need > len(wire) {
					t.Errorf("%d bytes: got need %d, %v", n, need, err)
				}
			}
			got, need, err := parseHeader(append(wire, 0xFF))
			if err != nil || need != len(wire) || got != tc.want {
				t.Errorf("got %+v, %d, %v, want %+v, %d", got, need, err, tc.want, len(wire))
			}
			if back := appendHeader(nil, tc.want); !bytes.Equal(back, wire) {
				t.Errorf("append: got %x, want %x", back, wire)
			}
		})
	}
}

func TestHeaderRefused(t *testing.T) {
	for _, tc := range []struct{ name, wire string }{
		{"RSV1", "c2 00"}, {"RSV2", "a2 00"}, {"RSV3", "92 00"},
		{"opcode 3", "83 00"}, {"opcode 7", "87 00"}, {"opcode 11", "8b 00"}, {"opcode 15", "8f 00"},
		{"16-bit length of 125", "82 7e 007d"},
		{"64-bit length of 65535", "82 7f 000000000000ffff"},
		{"negative length", "82 7f 8000000000000000"},
		{"ping in fragments", "09 00"},
		{"ping of 126 bytes", "89 7e 007e"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := parseHeader(unhex(t, tc.wire))
			if v, ok := errors.AsType[*violation](err); !ok || v.code != closeProtocol || !errors.Is(err, core.ErrMalformed) {
				t.Errorf("got %v, want a violation with status 1002", err)
			}
		})
	}
}

func TestParseClose(t *testing.T) {
	for _, tc := range []struct {
		payload string
		want    closeCode
	}{
		{"", closeNoStatus}, {"03e8", closeNormal}, {"03e9", closeGoingAway}, {"03e8 6f6b", closeNormal}, {"0bb8", 3000}, {"1387", 4999}, {"03f3", 1011},
		{"03", 0}, {"03ec", 0}, {"03ed", 0}, {"03ee", 0}, {"0000", 0}, {"03e7", 0}, {"1388", 0}, {"07d0", 0},
	} {
		if got, err := parseClose(unhex(t, tc.payload)); got != tc.want || (err == nil) != (tc.want != 0) {
			t.Errorf("%s: got %d, %v, want %d", tc.payload, got, err, tc.want)
		}
	}
}

// TestMask has the example of RFC 6455 §5.7, and compares with byte by byte: in pieces, in
// place and to an overlapping place.
func TestMask(t *testing.T) {
	hello := unhex(t, "7f9f4d5158")
	if newMask([4]byte{0x37, 0xfa, 0x21, 0x3d}).apply(hello, hello); string(hello) != "Hello" {
		t.Errorf("got %q, want Hello", hello)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		n, gap := rnd.IntN(200), rnd.IntN(20)
		key := [4]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())}
		buf, want := make([]byte, gap+n), make([]byte, n)
		for i := range want {
			buf[gap+i] = byte(rnd.Uint32())
			want[i] = buf[gap+i] ^ key[i%4]
		}
		cut, m := 0, newMask(key)
		if n > 0 {
			cut = rnd.IntN(n)
		}
		m = m.apply(buf, buf[gap:gap+cut])
		m.apply(buf[cut:], buf[gap+cut:])
		if !bytes.Equal(buf[:n], want) {
			t.Fatalf("%d bytes, gap %d, cut at %d: they differ", n, gap, cut)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "81", "8105", "818537fa213d", "827e0100", "827f0000000000010000", "897e007e"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, need, err := parseHeader(b)
		if need < 2 || need > maxHeader {
			t.Fatalf("need %d", need)
		}
		if err != nil || len(b) < need {
			return
		}
		if back := appendHeader(nil, h); !bytes.Equal(back, b[:need]) {
			t.Errorf("got %x of %+v, want %x", back, h, b[:need])
		}
	})
}
