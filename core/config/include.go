package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// Bounds on what a configuration includes.
const (
	maxFiles     = 1024        // files, the main one too
	maxIncluded  = 8           // files that include one another, the main one too
	maxTotalSize = 4 * MaxSize // bytes, all files together
)

// includePath is the path of the option in messages.
var includePath = join(tableProcess, "include")

// include reads the files that a text includes, and those that they include.
func (c *checker) include(in *source) {
	c.eachInclude(in, func(p Pattern, at int) {
		paths, err := p.expand(in.dir)
		if err != nil {
			c.add(at, includePath, "%v", err)
			return
		}
		if len(paths) == 0 {
			c.file.warn(at, includePath, "no file matches "+show(string(p)))
		}
		for _, path := range paths {
			c.includeFile(path, in, at)
		}
	})
}

// leaveIncludes warns of the files that a text includes and that are not read.
func (c *checker) leaveIncludes(in *source) {
	c.eachInclude(in, func(_ Pattern, at int) {
		c.file.warn(at, includePath, "not read: this text is taken alone")
	})
}

// eachInclude calls one for each pattern of a text.
func (c *checker) eachInclude(in *source, one func(p Pattern, at int)) {
	process, _ := in.values[tableProcess].(map[string]any)
	value, given := process["include"]
	if !given {
		return
	}
	var patterns []Pattern
	n := in.root.child(tableProcess).child("include")
	c.value(value, reflect.ValueOf(&patterns).Elem(), option.Bounds{}, n, includePath)
	for i, p := range patterns {
		if p != "" { // else it is wrong, which is known by now
			one(p, n.item(i).value)
		}
	}
}

// includeFile reads one file that a text includes, unless it has been read.
func (c *checker) includeFile(path string, in *source, at int) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.add(at, includePath, "%v", readError(path, err))
		return
	case info.IsDir():
		c.add(at, includePath, "%s is a directory; write a pattern of the files in it, such as %s", path, show(filepath.Join(path, "*.toml")))
		return
	case !info.Mode().IsRegular():
		c.add(at, includePath, "%s is not a file", path)
		return
	}
	trail := []string{path} // from the end
	for src := in; src != nil; src = src.from {
		trail = append(trail, src.name)
		if src.info != nil && os.SameFile(src.info, info) {
			slices.Reverse(trail)
			c.add(at, includePath, "a cycle: %s", strings.Join(trail, " -> "))
			return
		}
	}
	for _, src := range c.src.all {
		if src.info != nil && os.SameFile(src.info, info) {
			return
		}
	}
	size := 0
	for _, src := range c.src.all {
		size += len(src.text)
	}
	switch {
	case len(trail) > maxIncluded:
		c.add(at, includePath, "%s would be file %d of those that include one another; at most %d may", path, len(trail), maxIncluded)
		return
	case len(c.src.all)+len(c.unread) >= maxFiles:
		c.add(at, includePath, "more than %d files in all", maxFiles)
		return
	}
	data, info, err := read(path)
	if err != nil {
		c.add(at, includePath, "%v", err)
		return
	}
	if size+len(data) > maxTotalSize {
		c.add(at, includePath, "with %s all files together are larger than %d MiB", path, maxTotalSize>>20)
		return
	}
	src, problem := c.src.add(document{path, filepath.Dir(path), data, info, in})
	if problem != nil {
		c.unread = append(c.unread, *problem)
		return
	}
	c.include(src)
}

// includedTables checks the tables of an included file that only the main one has.
func (c *checker) includedTables(src *source) {
	for _, name := range []string{tableLog, tableAdmin, tableProcess, tableManager} {
		value, given := src.values[name]
		if !given {
			continue
		}
		n, main := src.root.child(name), c.src.all[0].name
		table, isTable := value.(map[string]any)
		if name != tableProcess || !isTable {
			c.add(n.key, name, "only the main file, %s, has this table; included files have components, rules and pipelines", main)
			continue
		}
		for _, key := range sortedKeys(table) {
			if key != "include" {
				c.add(n.child(key).key, join(name, key), "only the main file, %s, has this key; in an included file the table has include alone", main)
			}
		}
	}
}
