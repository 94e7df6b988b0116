package users

import (
	"cmp"
	"slices"

	"github.com/umbra-proxy/umbra/core/follow"
)

// Made is what a method made of each user of a list, such as a key: All[i] of Users[i].
// Users are sorted by name. A Made is immutable.
type Made[T any] struct {
	Users []User
	All   []T
}

// Make makes a T of each user of list, which is sorted by name. What before, which may be
// nil, has of an equal user is taken from there.
func Make[T any](list []User, before *Made[T], of func(User) (T, error)) (Made[T], error) {
	made := Made[T]{Users: list, All: make([]T, 0, len(list))}
	var old Made[T]
	if before != nil {
		old = *before
	}
	seek := follower(old.Users)
	for _, u := range list {
		if i, found := seek(u.Name); found && old.Users[i] == u {
			made.All = append(made.All, old.All[i])
			continue
		}
		t, err := of(u)
		if err != nil {
			return Made[T]{}, err
		}
		made.All = append(made.All, t)
	}
	return made, nil
}

// Table returns the table that build makes of list, the users of l. Tables of one method and
// of one content of a user file are shared. build also gets the table of the content before,
// if somebody uses that, or nil. Only the constructor and the function that Run calls may
// call Table.
func Table[T any](l *List, method string, list []User, build func(list []User, before *T) (*T, error)) (*T, error) {
	if l.file == nil {
		return build(list, nil)
	}
	return follow.Derive(l.file, method, build)
}

// reuse replaces the texts of list by equal texts of before, so that they are in memory once.
// Both are sorted by name.
func reuse(list, before []User) {
	seek := follower(before)
	for i, u := range list {
		at, found := seek(u.Name)
		if !found {
			continue
		}
		if list[i].Name = before[at].Name; before[at].Secret == u.Secret {
			list[i].Secret = before[at].Secret
		}
	}
}

// compare counts the users that are only in after, and those that are only in before. Both
// are sorted by name. A user with a changed secret counts as both.
func compare(before, after []User) (added, removed int) {
	seek, kept := follower(before), 0
	for _, u := range after {
		if i, found := seek(u.Name); found && before[i] == u {
			kept++
		}
	}
	return len(after) - kept, len(before) - kept
}

// follower returns a function that finds names in list, which is sorted by name, and returns
// their index. Each name must be greater than those that were looked for before.
func follower(list []User) (seek func(name string) (int, bool)) {
	i := 0
	return func(name string) (int, bool) {
		for i < len(list) && list[i].Name < name {
			i++
		}
		return i, i < len(list) && list[i].Name == name
	}
}

// contains reports whether list, which is sorted by name, has u.
func contains(list []User, u User) bool {
	i, found := slices.BinarySearchFunc(list, u.Name, func(e User, name string) int { return cmp.Compare(e.Name, name) })
	return found && list[i] == u
}
