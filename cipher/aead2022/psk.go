package aead2022

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// maxIdentities is the most identity keys of a client: with their headers a
// request fits the smallest buffer.
const maxIdentities = 16

// ParsePassword reads the keys of a method from the form that files and other
// programs have:
//
//	iPSK0:iPSK1:…:uPSK
//
// each in standard base64 with padding and of the method's key size: identity
// keys, the outermost first, then the user's own. Most often there is but one key.
// It hashes nothing, and no other size becomes a key. Its errors tell nothing of
// the keys but their lengths.
func ParsePassword(s Spec, password option.Text) ([][]byte, error) {
	texts := strings.Split(password.Reveal(), ":")
	switch {
	case len(texts) > 1 && s.Block == nil:
		return nil, fmt.Errorf("%d keys, want one: %s has no identity headers", len(texts), s.Method)
	case len(texts) > 1+maxIdentities:
		return nil, fmt.Errorf("%d keys, want at most %d", len(texts), 1+maxIdentities)
	}
	var psks [][]byte
	for i, text := range texts {
		psk, err := parseKey(s, text)
		if err != nil && len(texts) > 1 {
			err = fmt.Errorf("key %d of %d: %w", i+1, len(texts), err)
		}
		if err != nil {
			return nil, err
		}
		psks = append(psks, psk)
	}
	return psks, nil
}

// parseKey reads one key.
func parseKey(s Spec, text string) ([]byte, error) {
	var wrong string
	switch psk, err := base64.StdEncoding.DecodeString(text); {
	case err != nil || strings.ContainsAny(text, "\r\n"): // which the decoder skips
		wrong = fmt.Sprintf("no key in standard base64 with padding, want one of %d bytes", s.KeySize)
	case len(psk) != s.KeySize:
		wrong = fmt.Sprintf("a key of %d bytes, want %d", len(psk), s.KeySize)
	default:
		return psk, nil
	}
	return nil, fmt.Errorf("%s; make one with: umbra keygen %s", wrong, s.Method)
}

// Keys are what a method is keyed with.
type Keys struct {
	// PSKs are those of a client: identity keys, the outermost first, and the
	// user's own. A server with users has one, its identity key, or two, if the
	// same table is to be a client too.
	PSKs [][]byte
	// Users are the users of a server. With none, it has one whose key is the
	// last of PSKs, and who has no name.
	Users []User
}

// User is somebody who may use a server.
type User struct {
	Name  string
	PSK   []byte
	Grant *core.Grant // what is served under it is cut when it ends; may be nil
}

// check returns why the keys are none for a method.
func (k Keys) check(s Spec) error {
	if len(k.PSKs) == 0 || len(k.PSKs) > 1+maxIdentities {
		return fmt.Errorf("%d keys, want 1 to %d", len(k.PSKs), 1+maxIdentities)
	}
	if s.Block == nil && len(k.PSKs)+len(k.Users) > 1 {
		return errors.New("this method has no identity headers")
	}
	for _, psk := range k.PSKs {
		if len(psk) != s.KeySize {
			return fmt.Errorf("a key of %d bytes, want %d", len(psk), s.KeySize)
		}
	}
	if len(k.Users) > 0 && len(k.PSKs) > 2 {
		return errors.New("more than one identity key beside users")
	}
	for _, u := range k.Users {
		if bytes.Equal(u.PSK, k.PSKs[0]) {
			return fmt.Errorf("the key of user %q is the identity key, which all users know", u.Name)
		}
	}
	return nil
}
