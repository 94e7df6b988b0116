package acl

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
)

// check is one of the checks that a request must pass.
type check uint8

const (
	bySource check = iota
	byUser
	byTarget
	byPort
)

var checks = [...]string{bySource: "source", byUser: "user", byTarget: "target", byPort: "port"}

// reason is the entry that denies a request, or, without an entry, that no allow list
// matches. Creating a reason does not allocate; String does.
type reason struct {
	check check
	entry match.Found // of a list of sources or targets
	user  string
	port  uint16
}

// String returns the entry in the form of a list.
func (r reason) String() string {
	what := checks[r.check]
	switch {
	case r.check == byPort:
		return fmt.Sprint("port ", r.port)
	case r.check == byUser:
		return fmt.Sprintf("user %q", r.user)
	case !r.entry.IsZero():
		return what + " " + r.entry.String()
	}
	return what + " in no allow list"
}

// denied returns the error for a reason. name is the policy's name.
func denied(name string, r reason) error {
	return fmt.Errorf("%w by policy.%s: %s", core.ErrDenied, name, r)
}
