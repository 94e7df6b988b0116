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

// lists is where rules come from: the entries of a table, and the files that they
// name. Each file has a set of its own, so one that changes is read alone, and one that
// is wrong keeps the set that it had.
type lists struct {
	now     rules // what all say; its slices are copied for use
	origins []*origin
	errs    []error // what is wrong with the table's own entries
}

// origin is a file of a list.
type origin struct {
	key  string // of the table
	file *follow.File
	// parse reads the file. put then puts what it has, n entries, in its place.
	parse func(path string, r io.Reader) (put func(), n int, err error)
}

// newLists reads the lists of a table. It reads on after a mistake, so that each is
// told.
func newLists(o Options) (*lists, error) {
	l := new(lists)
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
	for _, at := range l.origins {
		_, err := at.read()
		l.note(at.key, err)
	}
	return l, errors.Join(l.errs...)
}

// rules returns what all lists say now.
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

// look reads the files that have changed, and reports whether there is one that is
// right.
func (l *lists) look(log *slog.Logger) (changed bool, err error) {
	var errs []error
	for _, at := range l.origins {
		other, err := at.file.Changed()
		n := 0
		if err == nil && other {
			n, err = at.read()
		}
		switch {
		case err != nil:
			errs = append(errs, &core.OptionError{Key: at.key, Err: err})
		case other:
			changed = true
			log.Info("list read", slog.String("list", at.key), slog.String("file", at.file.Path()), slog.Int("entries", n))
		}
	}
	return changed, errors.Join(errs...)
}

// read reads the file, and takes what it has if it is right. It returns how many
// entries that is.
func (o *origin) read() (n int, err error) {
	var put func()
	err = o.file.Read(func(r io.Reader) (err error) {
		put, n, err = o.parse(o.file.Path(), r)
		return err
	})
	if err == nil {
		put()
	}
	return n, err
}

// note remembers a mistake in a list of the table.
func (l *lists) note(key string, err error) {
	if err != nil {
		l.errs = append(l.errs, &core.OptionError{Key: key, Err: err})
	}
}

func (l *lists) follow(key, path string, parse func(string, io.Reader) (func(), int, error)) {
	l.origins = append(l.origins, &origin{key, follow.New(path, maxFile), parse})
}

func (l *lists) targets(key string, from []Target, into *[]*targets) {
	own := new(targets)
	*into = []*targets{own}
	for _, e := range from {
		if e.kind != file {
			l.note(key, own.add(e.entry))
			continue
		}
		i := len(*into)
		*into = append(*into, new(targets))
		l.follow(key, string(e.text), func(path string, r io.Reader) (func(), int, error) {
			set := new(targets)
			err := eachLine(path, r, func(line []byte) error { return targetLine(set, line) })
			set.seal()
			return func() { (*into)[i] = set }, set.len(), err
		})
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
		l.follow(key, s.path, func(path string, r io.Reader) (func(), int, error) {
			set := new(bart.Lite)
			err := eachLine(path, r, func(line []byte) error { return sourceLine(set, line) })
			return func() { (*into)[i] = set }, set.Size(), err
		})
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
		l.follow(key, path, func(path string, r io.Reader) (func(), int, error) {
			set := users{}
			err := eachLine(path, r, func(line []byte) error {
				if _, ok := cutFile(string(line)); ok {
					return errNested
				}
				return set.add(string(line))
			})
			return func() { (*into)[i] = set }, len(set), err
		})
	}
}

// users is a set of the names of users.
type users map[string]struct{}

func (u users) add(name string) error {
	if name == "" || len(name) > maxUser {
		return fmt.Errorf("invalid user name %.20q: want 1 to %d bytes", name, maxUser)
	}
	u[name] = struct{}{}
	return nil
}

// maxUser is the longest name of a user in bytes, as of the ciphers and inbounds.
const maxUser = 255
