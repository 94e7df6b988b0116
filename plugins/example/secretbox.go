// Package secretbox is an encryption method for umbra that is not part of the umbra
// binary: NaCl's secretbox, which is XSalsa20 and Poly1305.
package secretbox

import (
	"crypto/cipher"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/core"
)

// Method is the kind in a configuration file.
const Method = "xsalsa20-poly1305"

// Register adds the method to the ciphers of reg. umbra build calls it.
func Register(reg *core.Registry) {
	aead.Register(reg, aead.Spec{
		Method:  Method,
		Aliases: []string{"secretbox"},
		KeySize: keySize,
		New:     func(subkey []byte) (cipher.AEAD, error) { return newBox(subkey) },
	})
}
