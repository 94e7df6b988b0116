package http

import (
	"errors"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// own are the lines of a request that the outbound writes itself, and those that CONNECT
// can't have, in lower case.
var own = []string{"host", "content-length", "transfer-encoding", "connection", "proxy-connection"}

// checkHeader returns an error if a line of the options would break the request. The error
// does not contain the value.
func checkHeader(name, value string, login bool) error {
	if err := option.CheckHeaderName(name); err != nil {
		return err
	}
	switch lower := strings.ToLower(name); {
	case lower == "proxy-authorization" && login:
		return errors.New("user and password are sent in this line; remove one of the two")
	case slices.Contains(own, lower):
		return errors.New("this line can't be set")
	}
	return option.CheckHeaderValue(value)
}
