package acl

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

// lists holds the sources of rules: the entries in the configuration, and the list
// files that they name. Each file has its own set, so only a changed file is read
// again, and a file with an error keeps its previous set.
type lists struct {
	now     rules // the current sets; rules copies its slices
	origins []origin
	files   *follow.Files
	errs    []error // errors in the configuration's own entries
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

// newLists reads all lists of the options. It continues after an error, so that all
// errors are reported.
func newLists(files *follow.Files, o Options) (*lists, error) {
	l := &lists{files: files}
	r := &l.now
	r.deny = o.Default == "deny"
	r.targets.allows, r.ports.allows = o.AllowTargets != nil, o.AllowPorts != nil
	r.sources.allows, r.users.allows = o.AllowSources != nil, o.AllowUsers != nil
	r.ports.allow, r.ports.deny = o.AllowPorts, o.DenyPorts
	l.targets("allow_targets", o.AllowTargets, &r.targets.allow)
	l.targets("deny_targets", o.DenyTargets, &r.targets.deny)
	l.sources("allow_sources", o.AllowSources, &r.sources.allow)
	l.sources("deny_sources", o.DenySources, &r.sources.deny)
	l.users("allow_users", o.AllowUsers, &r.users.allow)
	l.users("deny_users", o.DenyUsers, &r.users.deny)
	return l, errors.Join(l.errs...)
}

// rules returns a snapshot of all lists.
func (l *lists) rules() (*rules, error) {
	r := l.now
	for _, list := range []struct {
		key  string
		sets *[]*targets
	}{{"allow_targets", &r.targets.allow}, {"deny_targets", &r.targets.deny}} {
		if err := checkAll(*list.sets); err != nil {
			return nil, &core.OptionError{Key: list.key, Err: err}
		}
		*list.sets = slices.Clone(*list.sets)
	}
	r.sources.allow, r.sources.deny = slices.Clone(r.sources.allow), slices.Clone(r.sources.deny)
	r.users.allow, r.users.deny = slices.Clone(r.users.allow), slices.Clone(r.users.deny)
	return &r, nil
}

// reload reads the files that have changed, and reports whether any of them was read
// without an error.
func (l *lists) reload(log *slog.Logger) (changed bool, err error) {
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

// note adds err, if it is not nil, to the errors of option key.
func (l *lists) note(key string, err error) {
	if err != nil {
		l.errs = append(l.errs, &core.OptionError{Key: key, Err: err})
	}
}

// openList reads the file at path for the option key. put puts its set in place, size returns
// the number of entries of a set.
func openList[S any](l *lists, key, path string, parse func(io.Reader) (S, error), put func(S), size func(S) int) {
	var set S
	file, err := follow.Open(l.files, path, fmt.Sprintf("acl %T", set), maxFile, parse)
	if err != nil {
		l.note(key, err)
		return
	}
	put(file.Value())
	l.origins = append(l.origins, &followedList[S]{key, file, put, size})
}

func (l *lists) targets(key string, from []Target, into *[]*targets) {
	own := new(targets)
	*into = []*targets{own}
	for _, e := range from {
		if e.kind != file {
			l.note(key, own.add(e.entry))
			continue
		}
		i, path := len(*into), string(e.text)
		*into = append(*into, new(targets))
		openList(l, key, path, func(r io.Reader) (*targets, error) {
			set := new(targets)
			err := eachLine(path, r, func(line []byte) error { return targetLine(set, line) })
			set.seal()
			return set, err
		}, func(set *targets) { (*into)[i] = set }, (*targets).len)
	}
	own.seal()
}

func (l *lists) sources(key string, from []Source, into *[]*bart.Lite) {
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

func (l *lists) users(key string, from []string, into *[]users) {
	own := users{}
	*into = []users{own}
	for _, name := range from {
		path, ok := cutFile(name)
		if !ok {
			l.note(key, own.add(name))
			continue
		}
		i := len(*into)
		*into = append(*into, users{})
		openList(l, key, path, func(r io.Reader) (users, error) {
			set := users{}
			return set, eachLine(path, r, func(line []byte) error {
				if _, ok := cutFile(string(line)); ok {
					return errNested
				}
				return set.add(string(line))
			})
		}, func(set users) { (*into)[i] = set }, func(set users) int { return len(set) })
	}
}

// users is a set of user names.
type users map[string]struct{}

func (u users) add(name string) error {
	if name == "" || len(name) > maxUser {
		return fmt.Errorf("invalid user name %.20q: want 1 to %d bytes", name, maxUser)
	}
	u[name] = struct{}{}
	return nil
}

// maxUser is the maximum length of a user name in bytes, as in ciphers and inbounds.
const maxUser = 255
