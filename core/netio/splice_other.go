//go:build !linux

package netio

import (
	"github.com/umbra-proxy/umbra/core"
	"io"
)

// splicer is empty: this system has no splice.
type splicer struct{}

func newSplicer(_, _ core.Stream) *splicer { return nil }

func (*splicer) burst() (int, error) { return 0, io.EOF }
