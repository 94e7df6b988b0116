package config

import (
	"cmp"
	"slices"
)

// Table is a table of a file with a name: a *Component or a *Pipeline.
type Table interface{ table() *node }

var (
	_ Table = (*Component)(nil)
	_ Table = (*Pipeline)(nil)
)

func (c *Component) table() *node { return c.at }
func (p *Pipeline) table() *node  { return p.at }

// Origin says where a value is from.
type Origin struct {
	File      string     // that it stands in
	Like      *Component // whose key it is, if it is another table's by like
	Variables []Variable // of the environment, in the value; in file order
}

// Origin says where the value of an option is from, or for "" the table itself. Of a default,
// which no file has, it returns the origin of the table.
func (f *File) Origin(t Table, key string) Origin {
	n := t.table()
	if key != "" && n.fields[key] != nil {
		n = n.fields[key]
		return Origin{File: f.src.of(n.key).name, Like: n.owner, Variables: n.variables(nil)}
	}
	return Origin{File: f.src.of(n.key).name}
}

// variables appends the variables in a value.
func (n *node) variables(all []Variable) []Variable {
	if n.variable != nil {
		if !slices.Contains(all, *n.variable) {
			all = append(all, *n.variable)
		}
		return all
	}
	var within []*node
	for _, child := range n.fields {
		within = append(within, child)
	}
	slices.SortFunc(within, func(a, b *node) int { return cmp.Compare(a.key, b.key) })
	for _, child := range append(within, n.items...) {
		all = child.variables(all)
	}
	return all
}
