package http

import (
	"errors"
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// own are the lines of a request that the outbound writes itself, and those that CONNECT
// can't have, in lower case.
var own = []string{"host", "content-length", "transfer-encoding", "connection", "proxy-connection"}

// checkHeader returns an error if a line of the options would break the request. The error
// does not contain the value.
func checkHeader(name, value string, login bool) error {
	lower := strings.ToLower(name)
	switch {
	case name == "" || strings.IndexFunc(name, isNoToken) >= 0:
		return fmt.Errorf("%q is no name of a header line (RFC 9110 §5.1)", name)
	case lower == "proxy-authorization" && login:
		return errors.New("user and password are sent in this line; remove one of the two")
	}
	for _, taken := range own {
		if lower == taken {
			return errors.New("this line can't be set")
		}
	}
	if err := option.CheckSecret(option.Text(value)); err != nil {
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
