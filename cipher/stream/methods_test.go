package stream

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/test/peer"
)

// specOf returns the Spec of a method.
func specOf(t testing.TB, method string) Spec {
	t.Helper()
	all := Specs()
	i := slices.IndexFunc(all, func(s Spec) bool { return s.Method == method })
	if i < 0 {
		t.Fatalf("no method %s", method)
	}
	return all[i]
}

// begun returns a cipher.Stream of a method.
func begun(t testing.TB, s Spec, key, iv []byte, op Operation) cipher.Stream {
	t.Helper()
	start, err := s.New(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := start(iv, op)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSplits encrypts and decrypts in pieces of every size, in place and to other memory.
func TestSplits(t *testing.T) {
	for _, s := range Specs() {
		if s.New == nil {
			continue
		}
		t.Run(s.Method, func(t *testing.T) {
			key, iv, plain := coretest.Pattern(max(s.KeySize, 10), 1), coretest.Pattern(s.IVSize, 2), coretest.Pattern(1000, 3)
			start, err := s.New(key)
			if err != nil {
				t.Fatal(err)
			}
			run := func(op Operation, in []byte, piece int, inPlace bool) []byte {
				c, err := start(iv, op)
				if err != nil {
					t.Fatal(err)
				}
				var out []byte
				for p := range slices.Chunk(bytes.Clone(in), piece) {
					dst := p
					if !inPlace {
						dst = make([]byte, len(p))
					}
					c.XORKeyStream(dst, p)
					out = append(out, dst...)
				}
				return out
			}
			want := run(Encrypt, plain, len(plain), false)
			for piece := 1; piece < 200; piece++ {
				for _, inPlace := range []bool{false, true} {
					if got := run(Encrypt, plain, piece, inPlace); !bytes.Equal(got, want) {
						t.Errorf("encrypted in pieces of %d, in place %t: got other bytes than at once", piece, inPlace)
					}
					if got := run(Decrypt, want, piece, inPlace); !bytes.Equal(got, plain) {
						t.Errorf("decrypted in pieces of %d, in place %t: got other bytes than at once", piece, inPlace)
					}
				}
			}
		})
	}
}

// TestOpenSSL compares the modes of AES with the openssl command.
func TestOpenSSL(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	for _, s := range Specs() {
		if !strings.HasPrefix(s.Method, "aes-") {
			continue
		}
		t.Run(s.Method, func(t *testing.T) {
			t.Parallel()
			key, iv, plain := coretest.Pattern(s.KeySize, 1), coretest.Pattern(s.IVSize, 2), coretest.Pattern(1003, 3)
			cmd := exec.CommandContext(t.Context(), openssl, "enc", "-e", "-"+s.Method, "-K", hex.EncodeToString(key), "-iv", hex.EncodeToString(iv))
			cmd.Stdin = bytes.NewReader(plain)
			want, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(plain))
			begun(t, s, key, iv, Encrypt).XORKeyStream(got, plain)
			if !bytes.Equal(got, want) {
				t.Errorf("got %x…, want %x…", got[:20], want[:20])
			}
		})
	}
}

// TestTable compares the permutations of two passwords with those of the Python original: the
// first 16 elements, and the hash of all, computed by a short Python program.
func TestTable(t *testing.T) {
	for _, tc := range []struct {
		password string
		first    []byte
		hash     string
	}{
		{"foobar!", []byte{60, 53, 84, 138, 217, 94, 88, 23, 39, 242, 219, 35, 12, 157, 165, 181}, "75670ec16468c46a152cb73c903d2485ae351541a80860e8e0b35e15be4ca446"},
		{"barfoo!", []byte{124, 30, 170, 247, 27, 127, 224, 59, 13, 22, 196, 76, 72, 154, 32, 209}, "1793adfc0e6b2ad68c26feaa1ae9804e8d5fa6406b3722c2c4eb69d6e2951078"},
	} {
		p := permutation([]byte(tc.password))
		if !bytes.Equal(p[:16], tc.first) {
			t.Errorf("%s: got %v, want %v", tc.password, p[:16], tc.first)
		}
		if got := sha256.Sum256(p[:]); hex.EncodeToString(got[:]) != tc.hash {
			t.Errorf("%s: got hash %x, want %s", tc.password, got, tc.hash)
		}
	}
}
