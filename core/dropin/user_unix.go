//go:build unix

package dropin

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// User is whom a process becomes when it has bound its ports.
type User struct {
	uid, gid int
	groups   []int
}

// FindUser returns a user by name or number. A number without an entry in the system's
// list of users is its own group, and has no other.
func FindUser(name string) (*User, error) {
	found, err := user.Lookup(name)
	if err != nil {
		uid, numErr := strconv.ParseUint(name, 10, 31)
		if numErr != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		if found, err = user.LookupId(name); err != nil {
			return &User{int(uid), int(uid), []int{int(uid)}}, nil
		}
	}
	u := &User{}
	if u.uid, err = strconv.Atoi(found.Uid); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	if u.gid, err = strconv.Atoi(found.Gid); err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	u.groups = []int{u.gid}
	ids, err := found.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", name, err)
	}
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil && !slices.Contains(u.groups, gid) {
			u.groups = append(u.groups, gid)
		}
	}
	return u, nil
}

// Become makes all threads of the process those of the user, with its groups. A process that
// is the user's already stays as it is.
func (u *User) Become() error {
	if os.Getuid() == u.uid && os.Geteuid() == u.uid {
		return nil
	}
	if err := syscall.Setgroups(u.groups); err != nil {
		return fmt.Errorf("set groups: %w", err)
	}
	if err := syscall.Setgid(u.gid); err != nil {
		return fmt.Errorf("set group %d: %w", u.gid, err)
	}
	if err := syscall.Setuid(u.uid); err != nil {
		return fmt.Errorf("set user %d: %w", u.uid, err)
	}
	return nil
}
