package ssh

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
)

// A refused is the server's answer that it opened no channel.
type refused struct {
	answer *ssh.OpenChannelError
	cause  error // what it means; may be nil
}

func (r *refused) Error() string {
	if r.answer.Message == "" {
		return r.answer.Reason.String()
	}
	return fmt.Sprintf("%s: %.80q", r.answer.Reason, r.answer.Message)
}

func (r *refused) Unwrap() error { return r.cause }

// refusal returns the error of an answer (RFC 4254 §5.1). What it says of the target is marked
// by core.AtTarget. So is "administratively prohibited": servers decide it by the target, and
// no client's wish for a forbidden one says that the server is down.
func refusal(answer *ssh.OpenChannelError) error {
	switch answer.Reason {
	case ssh.Prohibited:
		return core.AtTarget(&refused{answer, core.ErrDenied})
	case ssh.ConnectionFailed:
		return core.AtTarget(&refused{answer, causeOf(answer.Message)})
	}
	return &refused{answer, nil}
}

// causeOf returns what the text of a failed connection means: servers give the words of their
// operating system.
func causeOf(text string) error {
	text = strings.ToLower(text)
	for _, known := range []struct {
		words string
		cause error
	}{
		{"refused", syscall.ECONNREFUSED},
		{"timed out", syscall.ETIMEDOUT},
		{"timeout", syscall.ETIMEDOUT},
		{"network is unreachable", syscall.ENETUNREACH},
	} {
		if strings.Contains(text, known.words) {
			return known.cause
		}
	}
	return syscall.EHOSTUNREACH
}
