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
	origins []*origin
	errs    []error // errors in the configuration's own entries
}

// origin is a list file.
type origin struct {
	key  string // the option that names the file
	file *follow.File
	// parse parses the file, which has n entries. put replaces the file's old set.
	parse func(path string, r io.Reader) (put func(), n int, err error)
}

// newLists reads all lists of the options. It continues after an error, so that all
// errors are reported.
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

// read reads the file, and uses its entries if there is no error. It returns the
// number of entries.
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

// note adds err, if it is not nil, to the errors of option key.
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
