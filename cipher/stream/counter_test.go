package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
)

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

// TestChaCha20Counter checks the wrap-around of the low half of the counter.
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
			c.count(first)
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
