//go:build !unix || solaris || illumos || aix

package journal

import "os"

// lockFile opens the file at path. The standard library has no file lock for this
// system, so a second process is not excluded.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) }
