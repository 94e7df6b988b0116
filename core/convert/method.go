package convert

import (
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// aliases are names of methods that other programs have for kinds of umbra.
var aliases = map[string]string{
	"aes-128-cfb128": "aes-128-cfb", "aes-192-cfb128": "aes-192-cfb", "aes-256-cfb128": "aes-256-cfb",
	"plain": "none", "dummy": "none",
	"chacha20-poly1305-ietf": "chacha20-ietf-poly1305", "xchacha20-poly1305-ietf": "xchacha20-ietf-poly1305",
	"aead_aes_128_gcm": "aes-128-gcm", "aead_aes_256_gcm": "aes-256-gcm", "aead_chacha20_poly1305": "chacha20-ietf-poly1305",
}

// gone are families of methods that umbra does not have, by what their names begin with.
var gone = []string{"camellia", "aes-128-ocb", "aes-192-ocb", "aes-256-ocb", "idea", "seed", "rc2", "des", "bf-", "cast5", "rc4", "aes-128-cfb1", "aes-192-cfb1", "aes-256-cfb1", "aes-128-ccm", "aes-256-ccm", "aes-128-gcm-siv", "aes-256-gcm-siv", "sm4"}

// better is the method to use in the place of one that is gone.
const better = "chacha20-ietf-poly1305, or 2022-blake3-aes-256-gcm where both sides have it"

// Method returns the kind of cipher for a method of another program. Upper and lower case
// are the same, and the prefix "mbedtls:" says nothing.
func Method(reg *core.Registry, name string) (kind string, err error) {
	method := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "mbedtls:")
	if a, ok := aliases[method]; ok {
		method = a
	}
	if _, ok := reg.Cipher.Lookup(method); ok {
		return method, nil
	}
	for _, prefix := range gone {
		if strings.HasPrefix(method, prefix) {
			return "", fmt.Errorf("method %s is not supported, for it is not safe or has no users left: use %s, at both ends", method, better)
		}
	}
	return "", fmt.Errorf("method %q is not known: use %s", name, better)
}
