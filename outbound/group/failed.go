package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
)

// ErrAllDown says that every member is out, with all_down = "refuse".
var ErrAllDown = errors.New("every member is out")

// errLeft is the cause of the end of what ran through a member that requests have left.
var errLeft = errors.New("requests have left the member")

// failed is the failure of one member.
type failed struct {
	member *Member
	err    error
}

func (f *failed) Error() string { return f.member.name + ": " + f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

// allFailed is the failure of several members, in one line.
type allFailed []error

func (a allFailed) Error() string {
	var texts []string
	for _, err := range a {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (a allFailed) Unwrap() []error { return a }

// verdict is what the error of an attempt means.
type verdict struct {
	again  bool // another member may be tried
	counts bool // it says something of the member
	doubt  bool // it may be the fault of the request: only another member can tell
}

// judge says what the error of a dial means. ctx and r are those of the request.
func judge(ctx context.Context, r *core.Request, err error) verdict {
	cut := r.Flow != nil && r.Flow.Cause() != nil || errors.Is(ctx.Err(), context.Canceled)
	switch denied := errors.Is(err, core.ErrDenied); {
	case cut || isOf(err, core.ErrGone, core.ErrShutdown, core.ErrCrowded):
		return verdict{}
	case denied && !core.IsAtTarget(err): // by a policy here
		return verdict{}
	case isOf(err, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM): // this machine lacks something
		return verdict{}
	}
	v := verdict{again: ctx.Err() == nil && !core.IsSent(err), counts: !core.IsAtTarget(err)}
	if v.counts && errors.Is(err, core.ErrMalformed) {
		v.counts, v.doubt = false, true
	}
	return v
}

func isOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// noMember is the error of a request for which no member may be tried.
func (g *Group) noMember() error {
	return fmt.Errorf("%w: all_down is %q", ErrAllDown, g.options.AllDown)
}
