//go:build !unix

package dropin

import (
	"errors"
	"runtime"
)

// User is whom a process becomes when it has bound its ports.
type User struct{}

// FindUser returns an error: the user of a service is set where the service is.
func FindUser(string) (*User, error) {
	return nil, errors.New("becoming another user is not supported on " + runtime.GOOS + ": run the service as that user")
}

// Become does nothing.
func (*User) Become() error { return nil }
