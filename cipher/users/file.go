package users

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/option"
)

// maxFile is the maximum size of a user file in bytes, far above 100,000 users.
const maxFile = 32 << 20

// openFile reads the users of a file. Errors contain the line number.
func openFile(files *follow.Files, path string) (*follow.Parsed[[]User], error) {
	return follow.Open(files, path, "users", maxFile, func(r io.Reader, before []User) ([]User, error) {
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		list, err := parseFile(path, data)
		reuse(list, before)
		return list, err
	})
}

// parseFile parses a JSON object of names and secrets, and sorts it by name.
func parseFile(path string, data []byte) ([]User, error) {
	list, at, err := parse(data)
	if err != nil {
		line := 1 + bytes.Count(data[:min(at, int64(len(data)))], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: %w", path, line, err)
	}
	slices.SortFunc(list, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// parse parses users. With an error it returns the offset at which it occurred.
func parse(data []byte) (list []User, at int64, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	fail := func(err error) ([]User, int64, error) {
		at := dec.InputOffset()
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = syntax.Offset
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("unexpected end of file")
		}
		return nil, at, err
	}
	if t, err := dec.Token(); err != nil {
		return fail(err)
	} else if t != json.Delim('{') {
		return fail(errors.New(`want an object of names and secrets, {"alice": "secret"}`))
	}
	known := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fail(err)
		}
		secret, err := dec.Token()
		if err != nil {
			return fail(err)
		}
		u := User{Name: name.(string)} // keys of JSON objects are strings
		text, ok := secret.(string)
		if !ok {
			return fail(fmt.Errorf("user %q: want a secret as a string", u.Name))
		}
		u.Secret = option.Text(text)
		if err := u.check(); err != nil {
			return fail(err)
		}
		if known[u.Name] {
			return fail(fmt.Errorf("two users have the name %q", u.Name))
		}
		known[u.Name] = true
		list = append(list, u)
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail(errors.New("data after the JSON object"))
	}
	if len(list) == 0 {
		return fail(errors.New("no users in this file"))
	}
	return list, 0, nil
}
