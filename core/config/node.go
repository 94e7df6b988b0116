package config

import "strconv"

// node tells where one value stands in the text: the table of a section, a key,
// an element of a list.
type node struct {
	key    int // place of the key, or of the [ of a table's header
	value  int // place of the value, for a table with a header the same as key
	fields map[string]*node
	items  []*node // of a list, or of a list of tables
	header bool    // the table has a header of its own

	variable *Variable       // that the value is from
	owner    *Component      // of a key that its table has by like: whose key it is
	told     bool            // its mistakes are told where its owner is read
	excused  map[string]bool // keys that the table lacks without a mistake of its own
}

// child returns the node of a key, or n itself if the key is not in the file:
// what is missing is missing from n.
func (n *node) child(key string) *node {
	if c := n.fields[key]; c != nil {
		return c
	}
	return n
}

// path returns the path of a key in messages. path is that of n.
func (n *node) path(path, key string) string {
	if c := n.fields[key]; c != nil && c.owner != nil {
		path = c.owner.ID.String()
	}
	return join(path, key)
}

// item returns the node of an element, or n itself.
func (n *node) item(i int) *node {
	if i < 0 || i >= len(n.items) {
		return n
	}
	return n.items[i]
}

// element returns the index that a part of a key is, if n is a list or one value in place
// of a list.
func (n *node) element(part string) (i int, ok bool) {
	i, err := strconv.Atoi(part)
	return i, err == nil && n.fields[part] == nil && (i < len(n.items) || n.variable != nil || len(n.fields)+len(n.items) == 0)
}

// holdsValue reports whether the value, or a default of it, stands in the text.
func (n *node) holdsValue() bool { return n.variable == nil || n.fields[keyDefault] != nil }

// grow returns the node of a key, made if need be, inside the last element of a
// list of tables.
func (n *node) grow(key string, at int) *node {
	if len(n.items) > 0 {
		n = n.items[len(n.items)-1]
	}
	c := n.fields[key]
	if c == nil {
		if n.fields == nil {
			n.fields = map[string]*node{}
		}
		c = &node{key: at, value: at}
		n.fields[key] = c
	}
	return c
}
