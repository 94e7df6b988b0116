package acl

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/umbra-proxy/umbra/core"
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
	check  check
	kind   kind
	text   string
	prefix netip.Prefix
	port   uint16
}

// String returns the entry in the form of a list.
func (r reason) String() string {
	what := checks[r.check]
	switch {
	case r.check == byPort:
		return fmt.Sprint("port ", r.port)
	case r.check == byUser:
		return fmt.Sprintf("user %q", r.text)
	case r.prefix.IsValid() && r.prefix.IsSingleIP():
		return what + " " + r.prefix.Addr().String()
	case r.prefix.IsValid():
		return what + " " + r.prefix.String()
	case r.kind == below:
		return what + " suffix:." + strings.ToLower(r.text)
	case r.kind == exact:
		return what + " domain:" + strings.ToLower(r.text)
	case r.kind != 0:
		return what + " " + words[r.kind] + ":" + r.text
	}
	return what + " in no allow list"
}

// denied returns the error for a reason. name is the policy's name.
func denied(name string, r reason) error {
	return fmt.Errorf("%w by policy.%s: %s", core.ErrDenied, name, r)
}
