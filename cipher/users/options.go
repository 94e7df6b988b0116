// Package users is shared by the methods with many users on one port: it reads their
// names and secrets, and cuts the connections of removed users.
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

// maxName is the maximum length of a user name in bytes.
const maxName = 255

// Options are the keys of a [cipher.x] table that configure the users of a server.
// Embed them in the options of the method.
type Options struct {
	Users      map[string]option.Text `toml:"users" help:"names and secrets of the users of a server"`
	UsersFile  string                 `toml:"users_file" help:"the users in a JSON file, {\"alice\": \"secret\"}, which is read again when it changes"`
	CutRemoved bool                   `toml:"cut_removed" help:"cut the connections of a removed user; by default they continue until they end"`
}

// Given reports whether users are configured.
func (o Options) Given() bool { return o.Users != nil || o.UsersFile != "" }

// Key returns the key of the option with the users.
func (o Options) Key() string {
	if o.UsersFile != "" {
		return "users_file"
	}
	return "users"
}

// User is a user of a server.
type User struct {
	Name   string
	Secret option.Text
}

// read reads the users, sorted by name. Errors name the option to correct.
func (o Options) read(files *follow.Files) ([]User, *follow.Parsed[[]User], error) {
	switch {
	case o.Users != nil && o.UsersFile != "":
		return nil, nil, core.BadOption("users_file", "give only one of users and users_file")
	case o.UsersFile == "" && o.CutRemoved && o.Users == nil:
		return nil, nil, core.BadOption("cut_removed", "no users are configured: give users or users_file")
	case o.UsersFile == "":
		list, err := fromMap(o.Users)
		if err != nil {
			return nil, nil, &core.OptionError{Key: "users", Err: err}
		}
		return list, nil, nil
	}
	file, err := openFile(files, o.UsersFile)
	if err != nil {
		return nil, nil, &core.OptionError{Key: "users_file", Err: err}
	}
	return file.Value(), file, nil
}

func fromMap(users map[string]option.Text) ([]User, error) {
	if users != nil && len(users) == 0 {
		return nil, errors.New("no users in this table: omit it for a server without users")
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

// check returns an error if the name or the secret is invalid for every method.
func (u User) check() error {
	if err := CheckName(u.Name); err != nil {
		return err
	}
	if u.Secret == "" {
		return fmt.Errorf("user %q has an empty secret", u.Name)
	}
	if err := option.CheckSecret(u.Secret); err != nil {
		return fmt.Errorf("user %q: %w", u.Name, err)
	}
	return nil
}

// CheckName returns an error if name is not a valid user name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("a user has an empty name")
	case len(name) > maxName:
		return fmt.Errorf("the user name %.20q… has %d bytes, want at most %d", name, len(name), maxName)
	case slices.ContainsFunc([]rune(name), unicode.IsControl):
		return fmt.Errorf("the user name %q contains a control character", name)
	}
	return nil
}
