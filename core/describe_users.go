package core

import (
	"maps"
	"slices"
)

// Users are those that the clients of an inbound or a cipher can be. Who has none says so:
// nobody there can be a user that a policy names.
type Users struct {
	Names []string
	More  bool // there may be others, such as those of a file
}

// NamedUser is a user that an option names.
type NamedUser struct{ Key, Name string }

// UsersOf returns the users that are the keys of a table.
func UsersOf[V any](table map[string]V) *Users {
	return &Users{Names: slices.Sorted(maps.Keys(table))}
}

// With returns the users of both. Nil says nothing.
func (u *Users) With(v *Users) *Users {
	switch {
	case u == nil:
		return v
	case v == nil:
		return u
	}
	return &Users{Names: slices.Concat(u.Names, v.Names), More: u.More || v.More}
}
