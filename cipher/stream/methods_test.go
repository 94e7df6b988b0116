package stream

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
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
func begun(t testing.TB, s Spec, key, iv []byte, way Way) cipher.Stream {
	t.Helper()
	start, err := s.New(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := start(iv, way)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSplits encrypts and decrypts in pieces of every size, in place and apart.
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
			run := func(way Way, in []byte, piece int, inPlace bool) []byte {
				c, err := start(iv, way)
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

// chaChaBlock is one block of the first ChaCha20, written out from its
// description (D. J. Bernstein, 2008).
func chaChaBlock(key, nonce []byte, block uint64) []byte {
	var in, x [16]uint32
	for i, half := range []string{"expa", "nd 3", "2-by", "te k"} {
		in[i] = binary.LittleEndian.Uint32([]byte(half))
	}
	for i := range 8 {
		in[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	in[12], in[13] = uint32(block), uint32(block>>32)
	in[14], in[15] = binary.LittleEndian.Uint32(nonce), binary.LittleEndian.Uint32(nonce[4:])
	x = in
	quarter := func(a, b, c, d int) {
		for i, by := range []int{16, 12, 8, 7} {
			if i%2 == 0 {
				x[a] += x[b]
				x[d] = bits.RotateLeft32(x[d]^x[a], by)
			} else {
				x[c] += x[d]
				x[b] = bits.RotateLeft32(x[b]^x[c], by)
			}
		}
	}
	for range 10 {
		for i := range 4 {
			quarter(i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	var out []byte
	for i := range x {
		out = binary.LittleEndian.AppendUint32(out, x[i]+in[i])
	}
	return out
}

// TestChaCha20Counter runs over the place where the low half of the counter comes
// around.
func TestChaCha20Counter(t *testing.T) {
	key, nonce := coretest.Pattern(32, 1), coretest.Pattern(8, 2)
	for _, first := range []uint64{0, 1<<32 - 5, 7<<32 - 1, 7 << 32, 1<<63 - 2} {
		c, err := longChaCha20(key, nonce, first)
		if err != nil {
			t.Fatal(err)
		}
		const blocks = 20
		for _, piece := range []int{blocks * 64, 64, 63, 1} {
			if c, err = longChaCha20(key, nonce, first); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, blocks*64)
			for p := range slices.Chunk(got, piece) {
				c.XORKeyStream(p, p)
			}
			for i := range uint64(blocks) {
				if want := chaChaBlock(key, nonce, first+i); !bytes.Equal(got[64*i:][:64], want) {
					t.Errorf("block %d+%d in pieces of %d: got %x, want %x", first, i, piece, got[64*i:][:8], want[:8])
				}
			}
		}
	}
}

// salsaBlockOf is one block of Salsa20, written out from its specification (D. J.
// Bernstein, 2005).
func salsaBlockOf(key, nonce []byte, block uint64) []byte {
	in := [16]uint32{0: 0x61707865, 5: 0x3320646e, 10: 0x79622d32, 15: 0x6b206574}
	for i := range 4 {
		in[1+i] = binary.LittleEndian.Uint32(key[4*i:])
		in[11+i] = binary.LittleEndian.Uint32(key[16+4*i:])
	}
	in[6], in[7] = binary.LittleEndian.Uint32(nonce), binary.LittleEndian.Uint32(nonce[4:])
	in[8], in[9] = uint32(block), uint32(block>>32)
	x := in
	quarter := func(a, b, c, d int) {
		x[b] ^= bits.RotateLeft32(x[a]+x[d], 7)
		x[c] ^= bits.RotateLeft32(x[b]+x[a], 9)
		x[d] ^= bits.RotateLeft32(x[c]+x[b], 13)
		x[a] ^= bits.RotateLeft32(x[d]+x[c], 18)
	}
	for range 10 {
		for i := range 4 {
			quarter(5*i%16, (5*i+4)%16, (5*i+8)%16, (5*i+12)%16)
		}
		for i := range 4 {
			quarter(5*i, 4*i+(i+1)%4, 4*i+(i+2)%4, 4*i+(i+3)%4)
		}
	}
	var out []byte
	for i := range x {
		out = binary.LittleEndian.AppendUint32(out, x[i]+in[i])
	}
	return out
}

func TestSalsa20Counter(t *testing.T) {
	key, nonce := coretest.Pattern(32, 1), coretest.Pattern(8, 2)
	const blocks = 20
	for _, first := range []uint64{0, 1<<32 - 5, 7<<32 - 1, 1<<63 - 2} {
		for _, piece := range []int{blocks * 64, 64, 63, 1} {
			c := begun(t, specOf(t, "salsa20"), key, nonce, Encrypt).(*salsa20)
			c.count(int(first))
			got := make([]byte, blocks*64)
			for p := range slices.Chunk(got, piece) {
				c.XORKeyStream(p, p)
			}
			for i := range uint64(blocks) {
				if want := salsaBlockOf(key, nonce, first+i); !bytes.Equal(got[64*i:][:64], want) {
					t.Errorf("block %d+%d in pieces of %d: got %x, want %x", first, i, piece, got[64*i:][:8], want[:8])
				}
			}
		}
	}
}

// TestXChaCha20 compares a keystream with the one in draft-irtf-cfrg-xchacha-03,
// A.3.2.1, whose counter begins with 1.
func TestXChaCha20(t *testing.T) {
	key, err := hex.DecodeString("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
	if err != nil {
		t.Fatal(err)
	}
	iv := append([]byte("@ABCDEFGHIJKLMNOPQRSTUV"), 'X')
	got := make([]byte, 64+16)
	c := begun(t, specOf(t, "xchacha20"), key, iv, Encrypt)
	c.XORKeyStream(got, got)
	if want := "29624b4b1b140ace53740e405b216854"; hex.EncodeToString(got[64:]) != want {
		t.Errorf("got %x, want %s", got[64:], want)
	}
}

// TestTable compares with what the Python original makes of two passwords: its
// first 16 places, and the hash of all, which a program of a few lines of Python
// computed.
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
