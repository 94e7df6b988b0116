package option

import (
	"errors"
	"fmt"
	"strings"
)

// CheckHeaderName returns an error if name can't be the name of a header line of HTTP.
func CheckHeaderName(name string) error {
	if name == "" || strings.IndexFunc(name, isNoToken) >= 0 {
		return fmt.Errorf("%q is no name of a header line (RFC 9110 §5.1)", name)
	}
	return nil
}

// CheckHeaderValue returns an error if value would break a header line of HTTP. The error
// does not contain the value.
func CheckHeaderValue(value string) error {
	if err := CheckSecret(Text(value)); err != nil {
		return errors.New("the value contains a line end or another control character; remove it")
	}
	return nil
}

// isNoToken reports whether a character can't be in a token (RFC 9110 §5.6.2).
func isNoToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
