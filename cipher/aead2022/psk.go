package aead2022

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// maxIdentities is the maximum number of identity keys of a client. With that many
// identity headers a request fits the smallest buffer.
const maxIdentities = 16

// ParsePassword parses the keys of a method from the format of configuration files, which
// other implementations share:
//
//	iPSK0:iPSK1:…:uPSK
//
// each in standard base64 with padding, and of the key size of the method: identity keys,
// the outermost first, then the user's key. Usually there is one key. Keys are not hashed,
// and keys of another size are an error. Errors reveal only the lengths of the keys.
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

// parseKey decodes one key.
func parseKey(s Spec, text string) ([]byte, error) {
	var wrong string
	switch psk, err := base64.StdEncoding.DecodeString(text); {
	case err != nil || strings.ContainsAny(text, "\r\n"): // the decoder ignores line breaks
		wrong = fmt.Sprintf("invalid key: want %d bytes in standard base64 with padding", s.KeySize)
	case len(psk) != s.KeySize:
		wrong = fmt.Sprintf("key of %d bytes, want %d", len(psk), s.KeySize)
	default:
		return psk, nil
	}
	return nil, fmt.Errorf("%s; generate one with: umbra keygen %s", wrong, s.Method)
}

// Keys are the keys of a method.
type Keys struct {
	// PSKs are the keys of a client: identity keys, the outermost first, and the user's
	// key. A server with users has one key, its identity key, or two if the same table is
	// also used as a client.
	PSKs [][]byte
	// Users are the users of a server. If empty, the server has one user without a name,
	// whose key is the last of PSKs.
	Users []User

	table *userTable // the users instead of Users, if not nil
}

// users returns the number of users.
func (k Keys) users() int {
	if k.table != nil {
		return len(k.table.byHash)
	}
	return len(k.Users)
}

// User is a user of a server.
type User struct {
	Name string
	PSK  []byte
}

// check returns an error if the keys are invalid for a method.
func (k Keys) check(s Spec) error {
	if len(k.PSKs) == 0 || len(k.PSKs) > 1+maxIdentities {
		return fmt.Errorf("%d keys, want 1 to %d", len(k.PSKs), 1+maxIdentities)
	}
	if s.Block == nil && len(k.PSKs)+k.users() > 1 {
		return errors.New("this method has no identity headers")
	}
	for _, psk := range k.PSKs {
		if len(psk) != s.KeySize {
			return fmt.Errorf("key of %d bytes, want %d", len(psk), s.KeySize)
		}
	}
	if k.users() > 0 && len(k.PSKs) > 2 {
		return errors.New("more than one identity key beside users")
	}
	same := func(name string) error {
		return fmt.Errorf("the key of user %q is the identity key, which all users have", name)
	}
	for _, u := range k.Users {
		if bytes.Equal(u.PSK, k.PSKs[0]) {
			return same(u.Name)
		}
	}
	if k.table != nil {
		if u := k.table.byHash[hashKey(k.PSKs[0])]; u != nil {
			return same(u.Name)
		}
	}
	return nil
}
