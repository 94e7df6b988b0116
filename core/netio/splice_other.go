//go:build !linux

package netio

import (
	"io"

	"github.com/umbra-proxy/umbra/core"
)

// splicer is empty: this system has no splice.
type splicer struct{}

func newSplicer(_, _ core.Stream) *splicer { return nil }

func (*splicer) burst() (int, error) { return 0, io.EOF }
