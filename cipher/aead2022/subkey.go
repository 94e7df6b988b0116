package aead2022

import (
	"encoding/binary"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

// The contexts that BLAKE3 derives subkeys in. See SIP022 §2.2 and SIP023.
const (
	sessionContext  = "shadowsocks 2022 session subkey"
	identityContext = "shadowsocks 2022 identity subkey"
)

// hashSize is the size in bytes of a key's hash, of which an identity header is
// the sealed form: one block of AES.
const hashSize = 16

// hash is what an identity header names a key by.
type hash [hashSize]byte

// hashKey returns the first bytes of the BLAKE3 hash, not keyed, of psk. See
// SIP023.
func hashKey(psk []byte) hash {
	sum := blake3.Sum256(psk)
	return hash(sum[:hashSize])
}

// sessionSubkey returns the key of one direction of a stream, or of the datagrams
// of one session, as long as psk:
//
//	BLAKE3 derive_key("shadowsocks 2022 session subkey", psk || salt)
//
// salt is that of the stream, or the sessionID.
func sessionSubkey(psk, salt []byte) []byte { return deriveKey(sessionContext, psk, salt) }

// identitySubkey returns the key of one identity header of a stream.
func identitySubkey(ipsk, salt []byte) []byte { return deriveKey(identityContext, ipsk, salt) }

// deriveKey is BLAKE3's derive_key(context, psk || salt), as long as psk. Neither
// the context nor the material may be longer than one block, 64 bytes, and with
// Shadowsocks none is: then derive_key is two compressions. blake3.DeriveKey,
// which takes any length, is 17 times slower and takes 6 KiB of memory, and here
// this is what a forged datagram costs.
func deriveKey(context string, psk, salt []byte) []byte {
	var material [guts.BlockSize]byte
	n := copy(material[:], psk)
	if n += copy(material[n:], salt); n != len(psk)+len(salt) {
		panic("aead2022: key material of more than a block") // New has checked the sizes
	}
	var c [guts.BlockSize]byte
	copy(c[:], context)
	key := compress(guts.IV, c, len(context), guts.FlagDeriveKeyContext)
	words := compress([8]uint32(key[:8]), material, n, guts.FlagDeriveKeyMaterial)
	out := make([]byte, guts.BlockSize)
	for i, w := range words {
		binary.LittleEndian.PutUint32(out[4*i:], w)
	}
	return out[:len(psk):len(psk)]
}

// compress hashes an input of n bytes, that is one block.
func compress(key [8]uint32, block [guts.BlockSize]byte, n int, mode uint32) [16]uint32 {
	return guts.CompressNode(guts.Node{
		CV: key, Block: guts.BytesToWords(block), BlockLen: uint32(n),
		Flags: guts.FlagChunkStart | guts.FlagChunkEnd | guts.FlagRoot | mode,
	})
}
