//go:build !unix || solaris || illumos || aix

package journal

import "os"

// lockFile opens the file at path. This system has no lock in the standard
// library, so nothing stops another process.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) }
