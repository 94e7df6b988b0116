package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pattern is a path, or a pattern of paths, of files that a file includes.
type Pattern string

// Type returns the name of the option type.
func (Pattern) Type() string { return "path or pattern" }

// Example returns a pattern.
func (Pattern) Example() string { return "teams/*.toml" }

// UnmarshalText reads a path, in which *, ? and [a-z] stand for parts of a name.
func (p *Pattern) UnmarshalText(text []byte) error {
	*p = ""
	s := string(text)
	switch {
	case s == "":
		return errors.New("empty; write a path or a pattern such as teams/*.toml")
	case strings.ContainsRune(s, 0):
		return errors.New("a path has no NUL byte")
	case strings.Contains(s, "**"):
		return fmt.Errorf("%.60q: ** is not known; * stands for a part of one name, so write a pattern for each depth", s)
	}
	if _, err := filepath.Match(s, ""); err != nil {
		return fmt.Errorf("%.60q is no pattern: a [ has no ]", s)
	}
	*p = Pattern(s)
	return nil
}

// isGlob reports whether a name is a pattern of names.
func isGlob(name string) bool { return strings.ContainsAny(name, "*?[") }

// expand returns the paths that p stands for, sorted. A path without a pattern is returned
// whether it exists or not. A name that begins with a dot has to be written with it.
func (p Pattern) expand(dir string) ([]string, error) {
	text := filepath.ToSlash(string(p))
	paths := []string{dir}
	if filepath.IsAbs(string(p)) {
		root := filepath.VolumeName(string(p)) + "/"
		paths, text = []string{filepath.FromSlash(root)}, strings.TrimPrefix(text, root)
	}
	found := false // a pattern, further to the left
	for part := range strings.SplitSeq(text, "/") {
		var next []string
		for _, path := range paths {
			switch joined := filepath.Join(path, part); {
			case isGlob(part):
				names, err := matches(path, part)
				if err != nil {
					return nil, err
				}
				for _, name := range names {
					next = append(next, filepath.Join(path, name))
				}
			case found && !exists(joined):
			default:
				next = append(next, joined)
			}
		}
		paths, found = next, found || isGlob(part)
	}
	slices.Sort(paths)
	return paths, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// matches returns the names in a directory that match a pattern. What is no directory has
// none.
func matches(dir, pattern string) ([]string, error) {
	if dir == "" {
		dir = "."
	}
	if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, readError(dir, err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(pattern, ".") {
			continue
		}
		if ok, _ := filepath.Match(pattern, e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
