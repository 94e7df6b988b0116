package acl

import (
	"errors"
	"io"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

// lists is where rules come from: the entries of a table, and the files that they
// name.
type lists struct {
	opts  Options
	files map[place]*follow.File
}

// place is where a file is named. One that is named twice is read twice.
type place struct{ key, path string }

func newLists(o Options) *lists { return &lists{opts: o, files: map[place]*follow.File{}} }

// changed reports whether a file has changed since it was read.
func (l *lists) changed() (bool, error) {
	changed, errs := false, []error(nil)
	for at, f := range l.files {
		c, err := f.Changed()
		changed = changed || c
		if err != nil {
			errs = append(errs, &core.OptionError{Key: at.key, Err: err})
		}
	}
	if errs != nil {
		return false, errs[0] // the others come when this one is mended
	}
	return changed, nil
}

// loading is a set of rules that is being made, and what is wrong with it.
type loading struct {
	*lists
	rules *rules
	errs  []error
}

// load reads all lists. It reads on after a mistake, so that each is told.
func (l *lists) load() (*rules, error) {
	r := &rules{deny: l.opts.Default == "deny"}
	do := &loading{lists: l, rules: r}
	o := l.opts
	r.targets.allows, r.ports.allows = o.AllowTargets != nil, o.AllowPorts != nil
	r.sources.allows, r.users.allows = o.AllowSources != nil, o.AllowUsers != nil
	r.ports.allow, r.ports.deny = o.AllowPorts, o.DenyPorts
	do.targets("allow_targets", o.AllowTargets, &r.targets.allow)
	do.targets("deny_targets", o.DenyTargets, &r.targets.deny)
	do.sources("allow_sources", o.AllowSources, &r.sources.allow)
	do.sources("deny_sources", o.DenySources, &r.sources.deny)
	r.users.allow = do.users("allow_users", o.AllowUsers)
	r.users.deny = do.users("deny_users", o.DenyUsers)
	if do.errs != nil {
		return nil, errors.Join(do.errs...)
	}
	return r, nil
}

// note remembers a mistake in a list.
func (l *loading) note(key string, err error) {
	if err != nil {
		l.errs = append(l.errs, &core.OptionError{Key: key, Err: err})
	}
}

// file reads a file of a list line by line.
func (l *loading) file(key, path string, take func(line []byte) error) {
	at := place{key, path}
	if l.files[at] == nil {
		l.files[at] = follow.New(path, maxFile)
	}
	l.note(key, l.files[at].Read(func(r io.Reader) error { return eachLine(path, r, take) }))
}

func (l *loading) targets(key string, from []Target, into *targets) {
	for _, e := range from {
		if e.kind == file {
			l.file(key, string(e.text), func(line []byte) error { return targetLine(into, line) })
			continue
		}
		l.note(key, into.add(e.entry))
	}
	into.seal()
}

func (l *loading) sources(key string, from []Source, into *bart.Lite) {
	for _, s := range from {
		if s.path == "" {
			into.Insert(s.prefix)
			continue
		}
		l.file(key, s.path, func(line []byte) error {
			p, err := sourceLine(line)
			if err == nil {
				into.Insert(p)
			}
			return err
		})
	}
}

func (l *loading) users(key string, from []string) map[string]struct{} {
	users := map[string]struct{}{}
	add := func(name string) error {
		users[name] = struct{}{}
		return checkUser(name)
	}
	for _, name := range from {
		path, ok := cutFile(name)
		if !ok {
			l.note(key, add(name))
			continue
		}
		l.file(key, path, func(line []byte) error {
			if _, ok := cutFile(string(line)); ok {
				return errNested
			}
			return add(string(line))
		})
	}
	return users
}
