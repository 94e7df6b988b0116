package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// Names of tables that are no sections of components.
const (
	sectionPipeline = "pipeline"
	tableLog        = "log"
	tableProcess    = "process"
	tableAdmin      = "admin"
	tableManager    = "manager"
)

// readTables reads all tables of all files.
func (c *checker) readTables() {
	known := []string{sectionPipeline, tableLog, tableProcess, tableAdmin, tableManager}
	for _, s := range core.Sections() {
		known = append(known, string(s))
	}
	// Tables that are left out are read too, for their defaults.
	main := c.src.all[0]
	c.processTable(main.values[tableLog], &c.file.Log, main.root.child(tableLog), tableLog)
	c.processTable(main.values[tableProcess], &c.file.Process, main.root.child(tableProcess), tableProcess)
	c.processTable(main.values[tableAdmin], &c.file.Admin, main.root.child(tableAdmin), tableAdmin)
	c.checkAdmin(main.root.child(tableAdmin))
	c.processTable(main.values[tableManager], &c.file.Manager, main.root.child(tableManager), tableManager)
	c.checkManager(main.root.child(tableManager))
	for i, src := range c.src.all {
		if i > 0 {
			c.includedTables(src)
		}
		for _, name := range sortedKeys(src.values) {
			n := src.root.child(name)
			switch {
			case name == tableLog || name == tableProcess || name == tableAdmin || name == tableManager:
			case slices.Contains(known, name):
				c.section(name, src.values[name], n)
			default:
				c.unknownSection(name, src.values[name], known, n)
			}
		}
	}
	slices.SortFunc(c.order, func(a, b *Component) int {
		return cmp.Or(cmp.Compare(a.at.key, b.at.key), strings.Compare(a.ID.String(), b.ID.String()))
	})
	c.components()
	slices.SortFunc(c.file.Pipelines, func(a, b *Pipeline) int {
		return cmp.Or(cmp.Compare(a.at.key, b.at.key), strings.Compare(a.Name, b.Name))
	})
}

// processTable reads a table that stands by itself; value is nil if the file
// does not have it.
func (c *checker) processTable(value, into any, n *node, name string) {
	values, ok := value.(map[string]any)
	if value != nil && !ok {
		c.add(n.key, name, "write one table [%s]", name)
	}
	c.table(values, reflect.ValueOf(into).Elem(), n, name)
}

// unknownSection records an unknown top-level name.
func (c *checker) unknownSection(name string, value any, known []string, n *node) {
	near := c.guess(name, known)
	tables, isTable := value.(map[string]any)
	switch {
	case near != "" && strings.ToLower(name) == near:
		c.add(n.key, join("", name), "sections are in lower case; write %s", near)
	case near != "":
		c.add(n.key, join("", name), "unknown section; did you mean %s?", near)
	case isTable:
		c.add(n.key, join("", name), "unknown section; known are %s", strings.Join(known, ", "))
	default:
		c.add(n.key, join("", name), "a key that stands in no table")
	}
	if near == "" {
		return
	}
	for name := range tables {
		c.ghost[ID{core.Section(near), name}] = true
	}
}

// section reads the tables of a section.
func (c *checker) section(name string, value any, n *node) {
	tables, ok := value.(map[string]any)
	switch _, isList := value.([]map[string]any); {
	case isList:
		c.add(n.item(0).key, name, "[[%s]] makes a list; write a table with a name, [%s.<name>]", name, name)
		return
	case !ok:
		c.add(n.key, name, "%s is a section; write a table with a name, [%s.<name>]", name, name)
		return
	case len(tables) == 0:
		c.add(n.key, name, "a section without a table; write [%s.<name>]", name)
		return
	}
	var loose []string // keys that stand in the section itself
	for _, key := range sortedKeys(tables) {
		at, path := n.child(key), join(name, key)
		values, isTable := tables[key].(map[string]any)
		_, isList := tables[key].([]map[string]any)
		switch {
		case isList:
			c.add(at.item(0).key, path, "[[%s]] makes a list; write one table, [%s]", path, path)
		case !isTable:
			loose = append(loose, key)
			continue
		case !isName(key):
			c.add(at.key, path, "names of tables have only lower-case letters, digits, _ and -")
		case c.declare(at, path):
			continue
		case name == sectionPipeline:
			c.pipeline(key, values, at, path)
			continue
		default:
			c.component(ID{core.Section(name), key}, values, at)
			continue
		}
		c.ghost[ID{core.Section(name), key}] = true
	}
	if len(loose) > 0 {
		first := slices.MinFunc(loose, func(a, b string) int { return cmp.Compare(n.child(a).key, n.child(b).key) })
		c.add(n.child(first).key, join(name, first), "a key outside any table of the section; write it under [%s.<name>]", name)
	}
}

// declared is a table with a name.
type declared struct {
	at    *node
	twice bool // another file has it too
}

// declare notes a table. It reports whether another file has it, which is a mistake in
// both of them.
func (c *checker) declare(n *node, path string) (twice bool) {
	first := c.declared[path]
	if first == nil {
		c.declared[path] = &declared{at: n}
		return false
	}
	const give = "also at %s; give one of them another name"
	if !first.twice {
		first.twice = true
		c.add(first.at.key, path, give, c.src.line(n.key, first.at.key))
	}
	c.add(n.key, path, give, c.src.line(first.at.key, n.key))
	return true
}

// isName reports whether s may name a table or a key.
func isName(s string) bool {
	for _, r := range s {
		if !isBare(r) || 'A' <= r && r <= 'Z' {
			return false
		}
	}
	return s != ""
}
