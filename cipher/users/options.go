// Package users has what the methods with many users on one port share: where
// their names and secrets come from, and what happens when one is removed.
package users

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/option"
)

// maxName is the longest name of a user in bytes.
const maxName = 255

// Options are the keys of a [cipher.x] table that say who may use a server. Embed
// them in the method's own options.
type Options struct {
	Users      map[string]option.Text `toml:"users" help:"names and secrets of those who may use a server"`
	UsersFile  string                 `toml:"users_file" help:"the same in a JSON file, {\"alice\": \"secret\"}, which is read again when it changes"`
	CutRemoved bool                   `toml:"cut_removed" help:"cut what runs for a user who is removed; else it goes on to its end"`
}

// Given reports whether a server has users.
func (o Options) Given() bool { return o.Users != nil || o.UsersFile != "" }

// Key returns the key of the table that gives the users.
func (o Options) Key() string {
	if o.UsersFile != "" {
		return "users_file"
	}
	return "users"
}

// User is somebody who may use a server.
type User struct {
	Name   string
	Secret option.Text
	Grant  *core.Grant // what the user is served under; nil if nothing is cut
}

// read reads the users, sorted by name. Its errors name the key to mend.
func (o Options) read() ([]User, *follow.File, error) {
	switch {
	case o.Users != nil && o.UsersFile != "":
		return nil, nil, core.BadOption("users_file", "give only one of users and users_file")
	case o.UsersFile == "" && o.CutRemoved && o.Users == nil:
		return nil, nil, core.BadOption("cut_removed", "there are no users; give users or users_file")
	case o.UsersFile == "":
		list, err := fromMap(o.Users)
		if err != nil {
			return nil, nil, &core.OptionError{Key: "users", Err: err}
		}
		return list, nil, nil
	}
	file := follow.New(o.UsersFile, maxFile)
	list, err := readFile(file)
	if err != nil {
		return nil, nil, &core.OptionError{Key: "users_file", Err: err}
	}
	return list, file, nil
}

func fromMap(users map[string]option.Text) ([]User, error) {
	if users != nil && len(users) == 0 {
		return nil, errors.New("nobody; leave it out for a server without users")
	}
	var list []User
	for _, name := range slices.Sorted(maps.Keys(users)) {
		u := User{Name: name, Secret: users[name]}
		if err := u.check(); err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

// check returns what is wrong with a name or a secret, whatever the method.
func (u User) check() error {
	if err := CheckName(u.Name); err != nil {
		return err
	}
	if u.Secret == "" {
		return fmt.Errorf("user %q has an empty secret", u.Name)
	}
	return nil
}

// CheckName returns what is wrong with the name of a user.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("a user has an empty name")
	case len(name) > maxName:
		return fmt.Errorf("the user name %.20q… has %d bytes, the most is %d", name, len(name), maxName)
	case slices.ContainsFunc([]rune(name), unicode.IsControl):
		return fmt.Errorf("the user name %q has a control character", name)
	}
	return nil
}
