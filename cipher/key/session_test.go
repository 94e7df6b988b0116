package key_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha1"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/key"
)

// Session must equal the HKDF of the standard library, for keys and salts of any length.
func FuzzSession(f *testing.F) {
	for _, n := range []int{1, 16, 20, 24, 32, 40, 63, 64, 65, 200} {
		f.Add(bytes.Repeat([]byte{1}, n), bytes.Repeat([]byte{2}, n))
	}
	f.Add([]byte{7}, []byte{})
	f.Fuzz(func(t *testing.T, k, salt []byte) {
		if len(k) == 0 || len(k) > 255*sha1.Size {
			return // no key, or longer than the maximum output of HKDF
		}
		want, err := hkdf.Key(sha1.New, k, salt, "ss-subkey", len(k))
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Session(k, salt); !bytes.Equal(got, want) {
			t.Errorf("key %x, salt %x: got %x, want %x", k, salt, got, want)
		}
	})
}

func BenchmarkSession(b *testing.B) {
	k, salt := make([]byte, 32), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		key.Session(k, salt)
	}
}
