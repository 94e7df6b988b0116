package aead2022

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

func TestClock(t *testing.T) {
	now := noon.Add(999 * time.Millisecond)
	sec := uint64(noon.Unix())
	for _, tc := range []struct {
		name   string
		theirs uint64
		text   string
	}{
		{"same", sec, ""},
		{"30 s ahead", sec + 30, ""},
		{"30 s behind", sec - 30, ""},
		{"31 s ahead", sec + 31, "peer's clock is 31 s ahead; at most 30 s are allowed"},
		{"31 s behind", sec - 31, "peer's clock is 31 s behind; at most 30 s are allowed"},
		{"0", 0, "peer's clock is 1767225600 s behind"},
		{"2^63", 1 << 63, "s ahead; at most 30 s are allowed"},
		{"2^63-1", 1<<63 - 1, "s ahead; at most 30 s are allowed"},
		{"2^64-1", math.MaxUint64, "s ahead; at most 30 s are allowed"},
		{"2^64-30", math.MaxUint64 - 29, "s ahead; at most 30 s are allowed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := binary.BigEndian.AppendUint64([]byte{typeClient}, tc.theirs)
			sent, err := parseTypeAndTime(b, typeClient, now)
			if tc.text == "" {
				if err != nil || uint64(sent.Unix()) != tc.theirs {
					t.Errorf("got %v, %v, want %d", sent, err, tc.theirs)
				}
				return
			}
			if !errors.Is(err, core.ErrClock) || !strings.Contains(err.Error(), tc.text) || !sent.IsZero() {
				t.Errorf("got %v, %v, want %q", sent, err, tc.text)
			}
		})
	}
}

func TestRequestHeader(t *testing.T) {
	good := appendRequestHeader([]byte{9}, noon, 0x1234)[1:]
	if want := []byte{0, 0, 0, 0, 0, 0x69, 0x55, 0xb9, 0, 0x12, 0x34}; !bytes.Equal(good, want) {
		t.Fatalf("got %x, want %x", good, want)
	}
	for _, tc := range []struct {
		name   string
		b      []byte
		length int
		err    error
	}{
		{"good", good, 0x1234, nil},
		{"type 1", append([]byte{1}, good[1:]...), 0, core.ErrMalformed},
		{"type 0x80", append([]byte{0x80}, good[1:]...), 0, core.ErrMalformed},
		{"length 0", append(bytes.Clone(good[:9]), 0, 0), 0, core.ErrMalformed},
		{"longest", append(bytes.Clone(good[:9]), 0xFF, 0xFF), 0xFFFF, nil},
		{"short", good[:10], 0, core.ErrMalformed},
		{"long", append(bytes.Clone(good), 0), 0, core.ErrMalformed},
		{"empty", nil, 0, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, length, err := parseRequestHeader(tc.b, noon)
			if length != tc.length || !errors.Is(err, tc.err) {
				t.Errorf("got %d, %v, want %d, %v", length, err, tc.length, tc.err)
			}
		})
	}
	if _, _, err := parseRequestHeader(good, noon.Add(31*time.Second)); !errors.Is(err, core.ErrClock) {
		t.Errorf("31 s later: got %v, want core.ErrClock", err)
	}
}

func TestResponseHeader(t *testing.T) {
	for _, size := range []int{16, 32} {
		salt := bytes.Repeat([]byte{7}, size)
		good := appendResponseHeader(nil, noon, salt, 5)
		if len(good) != responseHeaderSize(size) {
			t.Fatalf("got %d bytes, want %d", len(good), responseHeaderSize(size))
		}
		other := bytes.Clone(salt)
		other[size-1]++
		for _, tc := range []struct {
			name string
			b    []byte
			salt []byte
			err  error
		}{
			{"good", good, salt, nil},
			{"type 0", append([]byte{0}, good[1:]...), salt, core.ErrMalformed},
			{"other salt", good, other, core.ErrAuth},
			{"length 0", append(bytes.Clone(good[:len(good)-2]), 0, 0), salt, core.ErrMalformed},
			{"short", good[:len(good)-1], salt, core.ErrMalformed},
			{"other time", append([]byte{1, 0}, make([]byte, size+9)...), salt, core.ErrClock},
		} {
			length, err := parseResponseHeader(tc.b, noon, tc.salt)
			if !errors.Is(err, tc.err) || (err == nil) != (length == 5) {
				t.Errorf("salt of %d bytes, %s: got %d, %v, want %v", size, tc.name, length, err, tc.err)
			}
		}
	}
}

func TestAddressing(t *testing.T) {
	target := addr(t, "192.0.2.1:80")
	plain := appendAddressing(nil, target, nil)
	padded := func(n int) []byte { return appendAddressing(nil, target, make([]byte, n)) }
	for _, tc := range []struct {
		name    string
		b       []byte
		payload string
		err     error
	}{
		{"payload", append(bytes.Clone(plain), "hi"...), "hi", nil},
		{"padding", padded(1), "", nil},
		{"padding and payload", append(padded(900), 'x'), "x", nil},
		{"padding of 901", append(padded(901), 'x'), "x", nil},
		{"padding of 60000", padded(60000), "", nil},
		{"neither", plain, "", core.ErrMalformed},
		{"padding beyond the end", padded(5)[:len(plain)+4], "", core.ErrMalformed},
		{"no padding length", plain[:7], "", core.ErrMalformed},
		{"half a padding length", plain[:8], "", core.ErrMalformed},
		{"address cut off", plain[:4], "", core.ErrMalformed},
		{"name cut off", []byte{3, 200, 'a'}, "", core.ErrMalformed},
		{"unknown type", append([]byte{0x11}, plain[1:]...), "", core.ErrAddrType},
		{"bad name", []byte{3, 2, 'a', ' ', 0, 80, 0, 0, 'x'}, "", core.ErrMalformed},
		{"empty", nil, "", core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, payload, err := parseAddressing(tc.b)
			if !errors.Is(err, tc.err) || string(payload) != tc.payload || (err == nil) != (got == target) {
				t.Errorf("got %s, %q, %v, want %q, %v", got, payload, err, tc.payload, tc.err)
			}
			if errors.Is(err, core.ErrShort) {
				t.Errorf("%v: what is whole is not too short", err)
			}
		})
	}
}

// FuzzRequestHeader checks that parsing is the inverse of appending.
func FuzzRequestHeader(f *testing.F) {
	f.Add(appendRequestHeader(nil, noon, 1), int64(0))
	f.Add(appendRequestHeader(nil, noon, 0xFFFF), int64(31))
	f.Add(append(make([]byte, 10), 1), -noon.Unix())
	f.Fuzz(func(t *testing.T, b []byte, off int64) {
		now := noon.Add(time.Duration(off%1e9) * time.Second)
		sent, length, err := parseRequestHeader(b, now)
		if err != nil {
			return
		}
		if d := sent.Unix() - now.Unix(); d < -30 || d > 30 {
			t.Errorf("%x: accepted %d s off", b, d)
		}
		if again := appendRequestHeader(nil, sent, length); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func FuzzResponseHeader(f *testing.F) {
	salt := bytes.Repeat([]byte{3}, 16)
	f.Add(appendResponseHeader(nil, noon, salt, 9), salt)
	f.Add(appendResponseHeader(nil, noon, salt[:1], 0), salt[:1])
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, b, salt []byte) {
		length, err := parseResponseHeader(b, noon, salt)
		if err != nil {
			return
		}
		sent := time.Unix(int64(binary.BigEndian.Uint64(b[1:])), 0)
		if again := appendResponseHeader(nil, sent, salt, length); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func FuzzAddressing(f *testing.F) {
	f.Add(appendAddressing(nil, addr(f, "192.0.2.1:80"), []byte("pad")), []byte("payload"))
	f.Add(appendAddressing(nil, addr(f, "example.com:443"), nil), []byte{})
	f.Add([]byte{4, 0}, []byte{0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b, more []byte) {
		b = append(b, more...)
		target, payload, err := parseAddressing(b)
		if err != nil {
			if target.IsValid() || payload != nil {
				t.Errorf("%x: got %s and %x beside %v", b, target, payload, err)
			}
			return
		}
		_, n, _ := socksaddr.Decode(b)
		padding := b[n+2 : len(b)-len(payload)]
		if len(padding) == 0 && len(payload) == 0 {
			t.Errorf("%x: accepted with neither padding nor payload", b)
		}
		again := append(appendAddressing(nil, target, padding), payload...)
		if tail := b[n:]; !bytes.HasSuffix(again, tail) { // an address may have two forms
			t.Errorf("got %x, want %x behind the address", again, tail)
		}
	})
}
