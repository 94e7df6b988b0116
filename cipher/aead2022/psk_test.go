package aead2022

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestParsePassword(t *testing.T) {
	k16, k32 := bytes.Repeat([]byte{0xFB}, 16), bytes.Repeat([]byte{0xFF}, 32)
	const advice128, advice256 = "; generate one with: umbra keygen " + aes128, "; generate one with: umbra keygen " + aes256
	for _, tc := range []struct {
		name, method, password string
		keys                   int
		text                   string // of the error
	}{
		{"16 bytes", aes128, encoded(k16), 1, ""},
		{"32 bytes", aes256, encoded(k32), 1, ""},
		{"32 bytes, ChaCha20", chacha, encoded(k32), 1, ""},
		{"identity and user", aes128, encoded(k16, k16), 2, ""},
		{"two identities and user", aes256, encoded(k32, k32, k32), 3, ""},
		{"as many as there may be", aes128, encoded(k16) + strings.Repeat(":"+encoded(k16), maxIdentities), 1 + maxIdentities, ""},
		{"more", aes128, encoded(k16) + strings.Repeat(":"+encoded(k16), maxIdentities+1), 0, "18 keys, want at most 17"},
		{"too long", aes128, encoded(k32), 0, "key of 32 bytes, want 16" + advice128},
		{"too short", aes256, encoded(k16), 0, "key of 16 bytes, want 32" + advice256},
		{"one byte short", aes128, encoded(k16[1:]), 0, "key of 15 bytes, want 16" + advice128},
		{"empty", aes128, "", 0, "key of 0 bytes, want 16" + advice128},
		{"no base64", aes128, "correct horse battery", 0, "invalid key: want 16 bytes in standard base64 with padding" + advice128},
		{"no padding", aes128, strings.TrimRight(encoded(k16), "="), 0, "invalid key: want 16 bytes in standard base64 with padding" + advice128},
		{"alphabet of URLs", aes128, base64.URLEncoding.EncodeToString(k16), 0, "invalid key: want 16 bytes in standard base64 with padding" + advice128},
		{"line break", aes128, encoded(k16)[:8] + "\n" + encoded(k16)[8:], 0, "invalid key: want 16 bytes in standard base64"},
		{"blank", aes128, encoded(k16) + " ", 0, "invalid key: want 16 bytes in standard base64"},
		{"empty user", aes128, encoded(k16) + ":", 0, "key 2 of 2: key of 0 bytes, want 16" + advice128},
		{"empty identity", aes128, ":" + encoded(k16), 0, "key 1 of 2: key of 0 bytes"},
		{"short identity", aes256, encoded(k32, k16, k32), 0, "key 2 of 3: key of 16 bytes, want 32" + advice256},
		{"identity, ChaCha20", chacha, encoded(k32, k32), 0, "2 keys, want one: " + chacha + " has no identity headers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			psks, err := ParsePassword(specOf(t, tc.method), option.Text(tc.password))
			if len(psks) != tc.keys || (err == nil) != (tc.text == "") || err != nil && !strings.HasPrefix(err.Error(), tc.text) {
				t.Fatalf("got %d keys, %v, want %d, %q", len(psks), err, tc.keys, tc.text)
			}
			for _, psk := range psks {
				if !bytes.Equal(psk, k16) && !bytes.Equal(psk, k32) {
					t.Errorf("got another key: %x", psk)
				}
			}
			for _, part := range strings.Split(tc.password, ":") {
				if err != nil && part != "" && strings.Contains(err.Error(), part) {
					t.Errorf("the error shows the key: %v", err)
				}
			}
		})
	}
}

func FuzzParsePassword(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==", true)
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAA==", true)
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false)
	f.Add(":::", false)
	f.Fuzz(func(t *testing.T, password string, short bool) {
		s := specOf(t, map[bool]string{true: aes128, false: aes256}[short])
		psks, err := ParsePassword(s, option.Text(password))
		if err != nil {
			return
		}
		again, err := ParsePassword(s, option.Text(encoded(psks...)))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(psks) {
			t.Errorf("%q: got %x, and %x, %v from what was made of them", password, psks, again, err)
		}
		for _, psk := range psks {
			if len(psk) != s.KeySize {
				t.Errorf("%q: got a key of %d bytes", password, len(psk))
			}
		}
	})
}

func TestNewRefusesKeys(t *testing.T) {
	s, plain := specOf(t, aes128), specOf(t, chacha)
	k := func(i int) []byte { return psk(s, i) }
	long := strings.Repeat("x", 256)
	for _, tc := range []struct {
		name string
		spec Spec
		keys Keys
		text string
	}{
		{"none", s, Keys{}, "0 keys, want 1 to 17"},
		{"wrong size", s, Keys{PSKs: [][]byte{psk(plain, 0)}}, "key of 32 bytes, want 16"},
		{"identity without AES", plain, Keys{PSKs: [][]byte{psk(plain, 0), psk(plain, 1)}}, "no identity headers"},
		{"user without AES", plain, Keys{PSKs: [][]byte{psk(plain, 0)}, Users: []User{{Name: "a", PSK: psk(plain, 1)}}}, "no identity headers"},
		{"two identities and users", s, Keys{PSKs: [][]byte{k(0), k(1), k(2)}, Users: []User{{Name: "a", PSK: k(3)}}}, "more than one identity key"},
		{"identity key as a user's", s, Keys{PSKs: [][]byte{k(0)}, Users: []User{{Name: "a", PSK: k(1)}, {Name: "b", PSK: k(0)}}}, `the key of user "b" is the identity key`},
		{"same key", s, Keys{PSKs: [][]byte{k(0)}, Users: []User{{Name: "a", PSK: k(1)}, {Name: "b", PSK: k(1)}}}, `the users "a" and "b" have the same key`},
		{"same name", s, Keys{PSKs: [][]byte{k(0)}, Users: []User{{Name: "a", PSK: k(1)}, {Name: "a", PSK: k(2)}}}, `two users have the name "a"`},
		{"no name", s, Keys{PSKs: [][]byte{k(0)}, Users: []User{{Name: "", PSK: k(1)}}}, "empty name"},
		{"long name", s, Keys{PSKs: [][]byte{k(0)}, Users: []User{{Name: long, PSK: k(1)}}}, "has 256 bytes, want at most 255"},
		{"user's key of another size", s, Keys{PSKs: [][]byte{k(0)}, Users: []User{{Name: "a", PSK: k(1)[:15]}}}, `user "a": key of 15 bytes, want 16`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := New(tc.spec, tc.keys, NewSalts())
			if c != nil || err == nil || !strings.HasPrefix(err.Error(), tc.spec.Method+": ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, %v, want an error with %q", c, err, tc.text)
			}
		})
	}
}
