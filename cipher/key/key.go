// Package key derives keys from passwords and from other keys, in the ways that
// Shadowsocks methods share.
package key

import (
	"crypto/hkdf"
	"crypto/md5"
	"crypto/sha256"
)

// FromPassword returns a key of size bytes: OpenSSL's EVP_BytesToKey with MD5,
// no salt and one round, which all Shadowsocks methods before the 2022 edition
// use:
//
//	D1 = MD5(password), Di = MD5(Di-1 || password), key = D1 || D2 || …
//
// It does not slow down guessing, so the password must be long and random.
func FromPassword(password string, size int) []byte {
	var key, last []byte
	for len(key) < size {
		h := md5.New()
		h.Write(last)
		h.Write([]byte(password))
		last = h.Sum(nil)
		key = append(key, last...)
	}
	return key[:size]
}

// Derive fills out with HKDF-SHA256 of key and label. The result reveals nothing about
// key.
func Derive(key []byte, label string, out []byte) {
	b, err := hkdf.Key(sha256.New, key, nil, "umbra "+label, len(out))
	if err != nil { // only for more than 255 hashes of output
		panic(err)
	}
	copy(out, b)
}
