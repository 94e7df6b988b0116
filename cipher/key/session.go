package key

import (
	"crypto/hkdf"
	"crypto/sha1"
	"sync"
)

// sessionInfo is the HKDF info of a subkey. See SIP004 §1.
const sessionInfo = "ss-subkey"

// Session returns the subkey of a stream or packet, as long as key:
// HKDF-SHA1 with the info "ss-subkey". See SIP004 §1.
//
// Session is called for each datagram, because each has its own subkey. crypto/hkdf
// allocates 20 objects per call, because it creates a hash for each key; Session runs
// the same construction (RFC 5869 over RFC 2104) over the standard library's SHA-1 in
// pooled memory.
func Session(key, salt []byte) []byte {
	if len(key) > maxMessage || len(salt) > sha1.BlockSize {
		return longSession(key, salt)
	}
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	prk := h.mac(salt, key)
	out := make([]byte, 0, len(key)+sha1.Size)
	var last []byte // T(n-1) of RFC 5869 §2.3
	for n := byte(1); len(out) < len(key); n++ {
		var b [sha1.Size + len(sessionInfo) + 1]byte
		message := append(b[:0], last...)
		message = append(message, sessionInfo...)
		t := h.mac(prk[:], append(message, n))
		out = append(out, t[:]...)
		last = out[len(out)-sha1.Size:]
	}
	return out[:len(key)]
}

// longSession is Session for lengths that no Shadowsocks method has.
func longSession(key, salt []byte) []byte {
	out, err := hkdf.Key(sha1.New, key, salt, sessionInfo, len(key))
	if err != nil { // only for more than 255 hashes of output
		panic(err)
	}
	return out
}

var hashers = sync.Pool{New: func() any { return newHasher() }}
