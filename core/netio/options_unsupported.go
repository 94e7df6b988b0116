//go:build !linux || portable

package netio

import (
	"errors"
	"fmt"
	"runtime"
)

// unsupported is the error of an option that this system, or this build, lacks.
func unsupported(option string) error {
	return fmt.Errorf("socket option %s on %s: %w", option, runtime.GOOS, errors.ErrUnsupported)
}
