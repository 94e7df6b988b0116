package acl

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// question is one of those that a request must pass.
type question uint8

const (
	bySource question = iota
	byUser
	byTarget
	byPort
)

var questions = [...]string{bySource: "source", byUser: "user", byTarget: "target", byPort: "port"}

// reason is the entry that denies, or, if it has none, that no list allows. To make
// one takes no memory; to write it does.
type reason struct {
	question question
	kind     kind
	text     string
	prefix   netip.Prefix
	port     uint16
}

// String returns the entry as it would stand in a list.
func (r reason) String() string {
	what := questions[r.question]
	switch {
	case r.question == byPort:
		return fmt.Sprint("port ", r.port)
	case r.question == byUser:
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

// denied returns the error for a reason. The name is that of the policy's table.
func denied(name string, r reason) error {
	return fmt.Errorf("%w: policy.%s: %s", core.ErrDenied, name, r)
}
