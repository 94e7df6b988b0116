//go:build !linux

package core

import "io"

// splicer does not exist where the kernel has no splice.
type splicer struct{}

func newSplicer(_, _ Stream) *splicer { return nil }

func (*splicer) burst() (int, error) { return 0, io.EOF }
