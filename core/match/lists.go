// Package match finds targets, addresses and users in lists that may have millions of
// entries, of a configuration and of files that may change.
package match

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

// Lists reads the lists of one component, and follows the files that they name. Each file
// has its own set, so only a changed file is read again, and a file with an error keeps
// its previous set. It is not safe for concurrent use; the sets are.
type Lists struct {
	files   *follow.Files
	origins []origin
	errs    []error // in the configuration's own entries
}

// NewLists returns Lists that share the sets of files with others of the process.
func NewLists(files *follow.Files) *Lists { return &Lists{files: files} }

// Err returns what was wrong with the lists: each error names its option and, of a file, the
// line.
func (l *Lists) Err() error { return errors.Join(l.errs...) }

// Followed reports whether a list names a file.
func (l *Lists) Followed() bool { return len(l.origins) > 0 }

// Reload reads the files that have changed, and reports whether any of them was read
// without an error.
func (l *Lists) Reload(log *slog.Logger) (changed bool, err error) {
	var errs []error
	for _, at := range l.origins {
		change, n, err := at.changed()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		changed = changed || change != follow.Unchanged
		if change == follow.First {
			log.Info("list read", slog.String("list", at.key()), slog.String("file", at.path()), slog.Int("entries", n))
		}
	}
	return changed, errors.Join(errs...)
}

// origin is a list file. Its set is shared by all components of the process that name the
// file in the same sort of list.
type origin interface {
	key() string // the option that names the file
	path() string
	// changed reads the file if it has changed, and replaces its old set. It returns the
	// number of entries.
	changed() (follow.Change, int, error)
}

// followedList is an origin with sets of type S.
type followedList[S any] struct {
	list string // the option that names the file
	file *follow.Parsed[S]
	put  func(S)
	size func(S) int
}

func (f *followedList[S]) key() string { return f.list }

func (f *followedList[S]) path() string { return f.file.Path() }

func (f *followedList[S]) changed() (follow.Change, int, error) {
	change, err := f.file.Changed()
	if err != nil {
		return change, 0, &core.OptionError{Key: f.list, Err: err}
	}
	if change == follow.Unchanged {
		return change, 0, nil
	}
	f.put(f.file.Value())
	return change, f.size(f.file.Value()), nil
}

// note adds err, if it is not nil, to the errors of option key.
func (l *Lists) note(key string, err error) {
	if err != nil {
		l.errs = append(l.errs, &core.OptionError{Key: key, Err: err})
	}
}

// openList reads the file at path for the option key. put puts its set in place, size returns
// the number of entries of a set.
func openList[S any](l *Lists, key, path string, parse func(io.Reader) (S, error), put func(S), size func(S) int) {
	var set S
	file, err := follow.Open(l.files, path, fmt.Sprintf("list %T", set), maxFile, func(r io.Reader, _ S) (S, error) { return parse(r) })
	if err != nil {
		l.note(key, err)
		return
	}
	put(file.Value())
	l.origins = append(l.origins, &followedList[S]{key, file, put, size})
}

// Targets reads a list of targets for the option key. Its sets are put into into: one for
// the entries of the configuration and one for each file, which Reload replaces.
func (l *Lists) Targets(key string, from []Target, into *[]*Targets) {
	own := new(Targets)
	*into = []*Targets{own}
	for _, e := range from {
		if e.kind != file {
			l.note(key, own.add(e.entry))
			continue
		}
		i, path := len(*into), string(e.text)
		*into = append(*into, new(Targets))
		openList(l, key, path, func(r io.Reader) (*Targets, error) {
			return ReadTargets(path, r)
		}, func(set *Targets) { (*into)[i] = set }, (*Targets).Len)
	}
	own.seal()
}

// Sources is Targets for ranges of addresses.
func (l *Lists) Sources(key string, from []Source, into *[]*bart.Lite) {
	own := new(bart.Lite)
	*into = []*bart.Lite{own}
	for _, s := range from {
		if s.path == "" {
			own.Insert(s.prefix)
			continue
		}
		i := len(*into)
		*into = append(*into, new(bart.Lite))
		openList(l, key, s.path, func(r io.Reader) (*bart.Lite, error) {
			set := new(bart.Lite)
			return set, eachLine(s.path, r, func(line []byte) error { return sourceLine(set, line) })
		}, func(set *bart.Lite) { (*into)[i] = set }, (*bart.Lite).Size)
	}
}

// Users is Targets for names of users.
func (l *Lists) Users(key string, from []string, into *[]Users) {
	own := Users{}
	*into = []Users{own}
	for _, name := range from {
		path, ok := CutFile(name)
		if !ok {
			l.note(key, own.add(name))
			continue
		}
		i := len(*into)
		*into = append(*into, Users{})
		openList(l, key, path, func(r io.Reader) (Users, error) {
			set := Users{}
			return set, eachLine(path, r, func(line []byte) error {
				if _, ok := CutFile(string(line)); ok {
					return errNested
				}
				return set.add(string(line))
			})
		}, func(set Users) { (*into)[i] = set }, func(set Users) int { return len(set) })
	}
}

// Users is a set of user names.
type Users map[string]struct{}

func (u Users) add(name string) error {
	if name == "" || len(name) > maxUser {
		return fmt.Errorf("invalid user name %.20q: want 1 to %d bytes", name, maxUser)
	}
	u[name] = struct{}{}
	return nil
}

// maxUser is the maximum length of a user name in bytes, as in ciphers and inbounds.
const maxUser = 255
