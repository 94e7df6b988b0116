package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// NoAnswer returns err in words that say how long an answer was waited for, if err is
// that of a context whose time was up: "dial: no answer within 2s" in place of "dial:
// context deadline exceeded". Other errors, and nil, are returned unchanged. The result
// wraps err.
func NoAnswer(err error, within time.Duration) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	words := fmt.Sprintf("no answer within %s", within)
	text := strings.NewReplacer(context.DeadlineExceeded.Error(), words, os.ErrDeadlineExceeded.Error(), words).Replace(err.Error())
	if text == err.Error() {
		return err
	}
	return &noAnswer{text, err}
}

// noAnswer is an error in other words.
type noAnswer struct {
	text string
	err  error
}

func (e *noAnswer) Error() string { return e.text }
func (e *noAnswer) Unwrap() error { return e.err }

// Timeout and Temporary are those of a net.Error.
func (*noAnswer) Timeout() bool   { return true }
func (*noAnswer) Temporary() bool { return true }
