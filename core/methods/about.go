// Package methods tells what a file needs for an encryption method, makes one from a
// secret, and measures its speed.
package methods

import (
	"crypto/rand"
	"encoding/base64"
	"reflect"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// passwordSize is how many random bytes make a password. No method's key is
// longer, so more of them would not make it stronger.
const passwordSize = 32

// SecretSize returns how many random bytes a method's secret has. A method whose
// password is a key of an exact size says so in the tag of its About:
//
//	_ core.About `help:"…" key:"16"`
//
// A method without a password, or whose key has no bytes, has no secret.
func SecretSize(options reflect.Type) (size int, ok bool) {
	for _, f := range config.Fields(options) {
		ok = ok || f.Key == "password"
	}
	if n, err := strconv.Atoi(aboutTag(options, "key")); err == nil {
		return n, ok && n > 0
	}
	return passwordSize, ok
}

// IsInsecure reports whether a method says of itself that it does not
// authenticate.
func IsInsecure(options reflect.Type) bool { return aboutTag(options, "insecure") == "true" }

// aboutTag returns one of the tags that a kind's About has.
func aboutTag(options reflect.Type, key string) string {
	for i := range options.NumField() {
		if f := options.Field(i); f.Type == reflect.TypeFor[core.About]() {
			return f.Tag.Get(key)
		}
	}
	return ""
}

// NewSecret returns a new secret of size random bytes as text.
func NewSecret(size int) string {
	secret := make([]byte, size)
	rand.Read(secret) // never fails
	return base64.StdEncoding.EncodeToString(secret)
}
