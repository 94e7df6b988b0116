package http

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
)

// A refused is a status other than success.
type refused struct {
	head  head
	cause error // what it means; may be nil
}

func (r *refused) Error() string {
	if r.head.reason == "" {
		return fmt.Sprintf("status %d", r.head.status)
	}
	return fmt.Sprintf("status %d %.80q", r.head.status, r.head.reason)
}

func (r *refused) Unwrap() error { return r.cause }

// result returns nil for 2xx, and else the error of the status. What the status says of the
// target is marked by core.AtTarget. So is 403: proxies decide it by the target, and no
// client's wish for a forbidden one says that the proxy is down.
func (h head) result(login bool) error {
	switch {
	case h.status/100 == 2:
		return nil
	case h.status == 407, h.status == 401: // tinyproxy answers a wrong password by 401
		return fmt.Errorf("%w: status %d: %s", core.ErrAuth, h.status, h.wants(login))
	case h.status == 403:
		return core.AtTarget(&refused{h, core.ErrDenied})
	case h.status == 504:
		return core.AtTarget(&refused{h, syscall.ETIMEDOUT})
	case h.status == 502, h.status == 503, h.status == 500 && h.reason == tinyproxyUnreached:
		return core.AtTarget(&refused{h, syscall.EHOSTUNREACH})
	}
	return &refused{h, nil}
}

// tinyproxyUnreached is what tinyproxy says, with the status 500, of a target that can't be
// reached.
const tinyproxyUnreached = "Unable to connect"

// wants says what a 407 asks for.
func (h head) wants(login bool) string {
	basic := slices.ContainsFunc(h.logins, func(scheme string) bool { return strings.EqualFold(scheme, "Basic") })
	switch {
	case len(h.logins) > 0 && !basic:
		return fmt.Sprintf("the proxy asks for a login by %.60q, and Basic alone is supported", strings.Join(h.logins, ", "))
	case login:
		return "the proxy refuses the user or the password"
	}
	return "the proxy wants a user and a password"
}
