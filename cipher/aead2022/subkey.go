package aead2022

import (
	"encoding/binary"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

// The contexts of subkeys in BLAKE3. See SIP022 §2.2 and SIP023.
const (
	sessionContext  = "shadowsocks 2022 session subkey"
	identityContext = "shadowsocks 2022 identity subkey"
)

// hashSize is the size in bytes of a key's hash. An identity header is the encrypted hash:
// one block of AES.
const hashSize = 16

// hash identifies a key in an identity header.
type hash [hashSize]byte

// hashKey returns the first bytes of the unkeyed BLAKE3 hash of psk. See
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
// salt is the salt of the stream, or the sessionID.
func sessionSubkey(psk, salt []byte) []byte { return deriveKey(sessionContext, psk, salt) }

// identitySubkey returns the key of an identity header of a stream.
func identitySubkey(ipsk, salt []byte) []byte { return deriveKey(identityContext, ipsk, salt) }

// deriveKey returns BLAKE3's derive_key(context, psk || salt), as long as psk. The context
// and the key material must each fit one block, 64 bytes, as they do in Shadowsocks:
// derive_key then takes two compressions. blake3.DeriveKey accepts any length, but is 17
// times slower and uses 6 KiB of memory, and a forged datagram causes one call.
func deriveKey(context string, psk, salt []byte) []byte {
	var material [guts.BlockSize]byte
	n := copy(material[:], psk)
	if n += copy(material[n:], salt); n != len(psk)+len(salt) {
		panic("aead2022: key material of more than a block") // New checks the sizes
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

// compress hashes an input of n bytes that fits one block.
func compress(key [8]uint32, block [guts.BlockSize]byte, n int, mode uint32) [16]uint32 {
	return guts.CompressNode(guts.Node{
		CV: key, Block: guts.BytesToWords(block), BlockLen: uint32(n),
		Flags: guts.FlagChunkStart | guts.FlagChunkEnd | guts.FlagRoot | mode,
	})
}
