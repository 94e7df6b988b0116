package aead2022

import (
	"bytes"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"

	"lukechampine.com/blake3"
)

func TestBLAKE3Vectors(t *testing.T) {
	var f struct {
		Hash []struct {
			Size int `json:"input_len"`
			Hash ciphertest.Hex
		}
		Derive []struct {
			Method, Use, Context string
			PSK, Salt, Subkey    ciphertest.Hex
			Hash16               ciphertest.Hex
		}
	}
	ciphertest.ReadJSON(t, "blake3.json", &f)
	if len(f.Hash) == 0 || len(f.Derive) == 0 {
		t.Fatal("blake3.json has no vectors")
	}
	for _, v := range f.Hash {
		input := make([]byte, v.Size)
		for i := range input {
			input[i] = byte(i % 251) // input_rule
		}
		if got := hashKey(input); !bytes.Equal(got[:], v.Hash[:hashSize]) {
			t.Errorf("hash of %d bytes: got %x, want %x", v.Size, got, v.Hash[:hashSize])
		}
	}
	for _, v := range f.Derive {
		got := []byte(nil)
		switch {
		case v.Hash16 != nil:
			h := hashKey(v.PSK)
			got, v.Subkey = h[:], v.Hash16
		case v.Context == sessionContext:
			got = sessionSubkey(v.PSK, v.Salt)
		case v.Context == identityContext:
			got = identitySubkey(v.PSK, v.Salt)
		}
		if !bytes.Equal(got, v.Subkey) {
			t.Errorf("%s, %s: got %x, want %x", v.Method, v.Use, got, v.Subkey)
		}
	}
}

// FuzzDeriveKey compares with the library's own derive_key.
func FuzzDeriveKey(f *testing.F) {
	f.Add(make([]byte, 16), make([]byte, 16))
	f.Add(make([]byte, 32), make([]byte, 32))
	f.Add(bytes.Repeat([]byte{7}, 32), []byte("8 bytes."))
	f.Add([]byte{1}, []byte{})
	f.Fuzz(func(t *testing.T, psk, salt []byte) {
		if len(psk)+len(salt) > 64 {
			return
		}
		for _, context := range []string{sessionContext, identityContext} {
			want := make([]byte, len(psk))
			blake3.DeriveKey(want, context, append(bytes.Clone(psk), salt...))
			if got := deriveKey(context, psk, salt); !bytes.Equal(got, want) {
				t.Errorf("%q of %x and %x: got %x, want %x", context, psk, salt, got, want)
			}
		}
	})
}

func BenchmarkSessionSubkey(b *testing.B) {
	k, salt := make([]byte, 32), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		sessionSubkey(k, salt)
	}
}
