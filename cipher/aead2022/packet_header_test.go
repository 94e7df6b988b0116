package aead2022

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

func TestClientHeader(t *testing.T) {
	good := append(appendClientHeader(nil, noon, []byte("pad")), "rest"...)
	if want := append([]byte{0, 0, 0, 0, 0, 0x69, 0x55, 0xb9, 0, 0, 3}, "padrest"...); !bytes.Equal(good, want) {
		t.Fatalf("got %x, want %x", good, want)
	}
	for _, tc := range []struct {
		name string
		b    []byte
		now  time.Time
		err  error
	}{
		{"good", good, noon, nil},
		{"30 s", good, noon.Add(30 * time.Second), nil},
		{"31 s", good, noon.Add(31 * time.Second), core.ErrClock},
		{"31 s back", good, noon.Add(-31 * time.Second), core.ErrClock},
		{"type 1", append([]byte{1}, good[1:]...), noon, core.ErrMalformed},
		{"type 2", append([]byte{2}, good[1:]...), noon, core.ErrMalformed},
		{"padding beyond the end", good[:12], noon, core.ErrMalformed},
		{"padding of 65535", append(append([]byte{}, good[:9]...), 0xFF, 0xFF, 1), noon, core.ErrMalformed},
		{"no padding length", good[:9], noon, core.ErrMalformed},
		{"half a time", good[:5], noon, core.ErrMalformed},
		{"empty", nil, noon, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sent, rest, err := parseClientHeader(tc.b, tc.now)
			if !errors.Is(err, tc.err) || (err == nil) != (string(rest) == "rest" && sent.Equal(noon)) {
				t.Errorf("got %v, %q, %v, want %v", sent, rest, err, tc.err)
			}
		})
	}
}

func TestServerHeader(t *testing.T) {
	good := append(appendServerHeader(nil, noon, 0x0102030405060708, nil), "rest"...)
	if want := append([]byte{1, 0, 0, 0, 0, 0x69, 0x55, 0xb9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0}, "rest"...); !bytes.Equal(good, want) {
		t.Fatalf("got %x, want %x", good, want)
	}
	for _, tc := range []struct {
		name string
		b    []byte
		now  time.Time
		err  error
	}{
		{"good", good, noon, nil},
		{"31 s", good, noon.Add(31 * time.Second), core.ErrClock},
		{"type 0", append([]byte{0}, good[1:]...), noon, core.ErrMalformed},
		{"no padding length", good[:17], noon, core.ErrMalformed},
		{"half an ID", good[:16], noon, core.ErrMalformed},
		{"empty", nil, noon, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id, rest, err := parseServerHeader(tc.b, tc.now)
			if !errors.Is(err, tc.err) || (err == nil) != (string(rest) == "rest" && id == 0x0102030405060708) {
				t.Errorf("got %x, %q, %v, want %v", id, rest, err, tc.err)
			}
		})
	}
}

func FuzzSeparate(f *testing.F) {
	f.Add(uint64(0), uint64(1))
	f.Add(^uint64(0), uint64(1)<<63)
	f.Fuzz(func(t *testing.T, sessionID, packetID uint64) {
		b := appendSeparate([]byte("x"), sessionID, packetID)
		if a, n := parseSeparate(b[1:]); a != sessionID || n != packetID || len(b) != 1+separateSize {
			t.Errorf("got %x, %x from %x, want %x, %x", a, n, b, sessionID, packetID)
		}
	})
}

// FuzzClientHeader checks that parsing is the inverse of appending.
func FuzzClientHeader(f *testing.F) {
	f.Add(append(appendClientHeader(nil, noon, []byte("pad")), 1, 2, 3))
	f.Add(appendClientHeader(nil, noon, nil))
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		sent, rest, err := parseClientHeader(b, noon)
		if err != nil {
			return
		}
		padding := b[11 : len(b)-len(rest)]
		if again := append(appendClientHeader(nil, sent, padding), rest...); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func FuzzServerHeader(f *testing.F) {
	f.Add(append(appendServerHeader(nil, noon, 7, []byte("pad")), 1, 2, 3))
	f.Add(appendServerHeader(nil, noon, ^uint64(0), nil))
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		id, rest, err := parseServerHeader(b, noon)
		if err != nil {
			return
		}
		sent := time.Unix(int64(binary.BigEndian.Uint64(b[1:])), 0)
		padding := b[19 : len(b)-len(rest)]
		if again := append(appendServerHeader(nil, sent, id, padding), rest...); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}
