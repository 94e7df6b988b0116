package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

func TestNoAnswer(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"a context", fmt.Errorf("ask 192.0.2.1:53: %w", context.DeadlineExceeded), "ask 192.0.2.1:53: no answer within 2s"},
		{"a connection", fmt.Errorf("read: %w", os.ErrDeadlineExceeded), "read: no answer within 2s"},
		{"two at once", errors.Join(context.DeadlineExceeded, io.EOF), "no answer within 2s\nEOF"},
		{"another error", io.EOF, "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := core.NoAnswer(tc.err, 2*time.Second)
			if got.Error() != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if !errors.Is(got, tc.err) || core.ReasonOf(got) != core.ReasonOf(tc.err) {
				t.Errorf("got the reason %q, want that of %v", core.ReasonOf(got), tc.err)
			}
		})
	}
	if err := core.NoAnswer(nil, time.Second); err != nil {
		t.Errorf("nil: got %v", err)
	}
}
