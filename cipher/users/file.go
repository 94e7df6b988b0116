package users

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

// maxFile is the largest file of users in bytes, far above 100,000 of them.
const maxFile = 32 << 20

// settled is how long after its last change a file can be told from a newer one by
// its time alone. Some file systems keep times of two seconds.
const settled = 2 * time.Second

// snapshot is a file of users as it was read.
type snapshot struct {
	path string
	info fs.FileInfo
	read time.Time
	data []byte
}

// readFile reads a file.
func readFile(path string) (*snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, pathError("read", path, err)
	}
	defer f.Close()
	s := &snapshot{path: path, read: time.Now()}
	if s.info, err = f.Stat(); err != nil {
		return nil, pathError("read", path, err)
	}
	if !s.info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if s.data, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, pathError("read", path, err)
	}
	if len(s.data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return s, nil
}

// pathError says once what was done to which file.
func pathError(did, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s %s: %w", did, path, err)
}

// isCurrent reports whether the file is as it was read, as far as can be told
// without reading it.
func (s *snapshot) isCurrent() bool {
	info, err := os.Stat(s.path)
	return err == nil && os.SameFile(info, s.info) && info.Size() == s.info.Size() &&
		info.ModTime().Equal(s.info.ModTime()) && s.read.Sub(info.ModTime()) > settled
}

// users reads a JSON object of names and secrets, sorted by name. Its errors name
// the line.
func (s *snapshot) users() ([]User, error) {
	list, at, err := parse(s.data)
	if err != nil {
		line := 1 + bytes.Count(s.data[:min(int(at), len(s.data))], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: %w", s.path, line, err)
	}
	slices.SortFunc(list, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// parse reads users, and tells how far it came.
func parse(data []byte) (list []User, at int64, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	fail := func(err error) ([]User, int64, error) {
		at := dec.InputOffset()
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = syntax.Offset
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("ends too soon")
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
		u := User{Name: name.(string)} // which keys of objects are
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
		return fail(errors.New("something follows the object"))
	}
	if len(list) == 0 {
		return fail(errors.New("nobody"))
	}
	return list, 0, nil
}
