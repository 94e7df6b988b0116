//go:build !unix || solaris || illumos || aix

package journal

import "os"

// lockFile opens the file that guards the journal at path. The standard library has no
// file lock for this system, so a second process is not excluded.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, pathError("lock", path, err)
	}
	return f, nil
}
