// Package methods describes the secret that an encryption method needs, builds a
// cipher from a secret, and measures its speed.
package methods

import (
	"crypto/rand"
	"encoding/base64"
	"reflect"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// passwordSize is the number of random bytes in a generated password. No method's key
// is longer, so more bytes would not make the password stronger.
const passwordSize = 32

// SecretSize returns the number of random bytes of a method's secret. A method whose
// password is a key of a fixed size declares the size in the tag of its About:
//
//	_ core.About `help:"…" key:"16"`
//
// It returns false for a method without a password or with a key of no bytes.
func SecretSize(options reflect.Type) (size int, ok bool) {
	for _, f := range config.Fields(options) {
		ok = ok || f.Key == "password"
	}
	if n, err := strconv.Atoi(aboutTag(options, "key")); err == nil {
		return n, ok && n > 0
	}
	return passwordSize, ok
}

// IsInsecure reports whether a method declares that it does not authenticate.
func IsInsecure(options reflect.Type) bool { return aboutTag(options, "insecure") == "true" }

// aboutTag returns a tag of a kind's About, or "".
func aboutTag(options reflect.Type, key string) string {
	for i := range options.NumField() {
		if f := options.Field(i); f.Type == reflect.TypeFor[core.About]() {
			return f.Tag.Get(key)
		}
	}
	return ""
}

// NewSecret returns size random bytes as base64 text.
func NewSecret(size int) string {
	secret := make([]byte, size)
	rand.Read(secret) // never fails
	return base64.StdEncoding.EncodeToString(secret)
}
