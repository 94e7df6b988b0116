package methods

import (
	"encoding"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// buildCipher builds a cipher with a new secret.
func buildCipher(kind core.Kind[core.Cipher]) (core.Cipher, error) {
	secret := ""
	if size, ok := SecretSize(kind.Options); ok {
		secret = NewSecret(size)
	}
	return New(kind, secret)
}

// New builds a cipher with a secret. An empty secret is not set.
func New(kind core.Kind[core.Cipher], secret string) (core.Cipher, error) {
	options := reflect.New(kind.Options)
	for _, f := range config.Fields(kind.Options) {
		field := f.In(options.Elem())
		switch {
		case f.Key == "password" && secret != "":
			text, ok := field.Addr().Interface().(encoding.TextUnmarshaler)
			if !ok {
				return nil, errors.New("its option password can't be set from text")
			}
			if err := text.UnmarshalText([]byte(secret)); err != nil {
				return nil, err
			}
		case f.Key == "insecure" && IsInsecure(kind.Options):
			if field.Kind() != reflect.Bool {
				return nil, errors.New("its option insecure is not a bool")
			}
			field.SetBool(true)
		}
	}
	env := core.Env{Section: core.SectionCipher, Name: kind.Name, Log: slog.New(slog.DiscardHandler), Process: new(core.Process)}
	return kind.New(env, options.Interface())
}

// benchTarget is the target of the requests that are measured.
var benchTarget = core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:443"))
