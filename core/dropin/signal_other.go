//go:build !unix

package dropin

import "os"

// Drains returns no channel: there is no such signal.
func Drains() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
