package config

import (
	"maps"
	"slices"
	"strings"
)

// keyLike is the key by which a table has the keys of another one first.
const keyLike = "like"

// Bounds on what tables have by like.
const (
	maxLikes    = 16        // tables that are like one another
	maxLikeness = 1_000_000 // values, all tables together
)

// likeness says what a component has of another one.
type likeness struct {
	to    *Component // nil if it is like none
	depth int        // tables that to leads to, itself too
	wrong bool       // to is not known, so nothing is surely missing or unknown
	state int        // of inherit
}

// States of inherit.
const (
	inheriting = 1
	inherited  = 2
)

// inherit gives a component the keys of the one that it is like, as far as it does not have
// them itself. trail are the components whose likeness leads to it.
func (c *checker) inherit(component *Component, trail []ID) {
	value, given := component.values[keyLike]
	if component.like.state == inherited || !given {
		component.like.state = inherited
		return
	}
	l := &component.like
	l.state = inheriting
	defer func() { l.state = inherited }()
	n, path := component.at.child(keyLike), join(component.ID.String(), keyLike)
	to := c.likeOf(component, value, n, path)
	if to == nil {
		l.wrong = true
		return
	}
	trail = append(trail, component.ID)
	if to.like.state == inheriting {
		l.wrong = true
		c.add(n.value, path, "a cycle: %s", likenesses(append(trail[slices.Index(trail, to.ID):], to.ID)))
		return
	}
	c.inherit(to, trail)
	l.to, l.depth, l.wrong = to, to.like.depth+1, to.like.wrong
	switch c.likeness += valuesIn(to.values); {
	case l.depth > maxLikes: // which is known by now
		l.wrong = true
	case l.depth == maxLikes:
		l.wrong = true
		c.add(n.value, path, "more than %d tables that are like one another", maxLikes)
	case c.likeness > maxLikeness:
		l.wrong = true
		c.add(n.value, path, "more than %d values by like, in all tables together", maxLikeness)
	default:
		component.take(to)
	}
}

// likeOf returns the component that another one is like, or nil for a mistake.
func (c *checker) likeOf(component *Component, value any, n *node, path string) *Component {
	id := ID{Section: component.ID.Section}
	if !c.text(value, &id.Name, n, path) {
		return nil
	}
	to := c.file.Components[id]
	switch {
	case id.Name == "":
		c.add(n.value, path, "empty; give the name of a component or leave the key out")
	case c.ghost[id]:
	case to == nil:
		c.unknownReference(id, c.names()[id.Section], n.value, path)
	}
	return to
}

// likenesses draws a way through tables that are like one another.
func likenesses(ids []ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, " -> ")
}

// take takes over the keys of another component that c does not have. A table of options is
// one of them: it is taken over whole, or not at all.
func (c *Component) take(other *Component) {
	n := *c.at
	n.fields = maps.Clone(n.fields)
	c.values = maps.Clone(c.values)
	for key, value := range other.values {
		at := other.at.fields[key]
		if _, own := c.values[key]; own || key == keyLike || key == keyKind || at == nil {
			continue
		}
		taken := *at
		if taken.owner == nil {
			taken.owner = other
		}
		c.values[key], n.fields[key] = value, &taken
	}
	c.at = &n
}

// valuesIn counts the values in what the TOML library read.
func valuesIn(value any) int {
	n := 1
	switch v := value.(type) {
	case map[string]any:
		for _, element := range v {
			n += valuesIn(element)
		}
	case []any:
		for _, element := range v {
			n += valuesIn(element)
		}
	case []map[string]any:
		for _, element := range v {
			n += valuesIn(element)
		}
	}
	return n
}

// checkTaken finds keys that a component has by like and its own kind does not have. It
// takes them away.
func (c *checker) checkTaken(component *Component, known []Field) {
	n, path := component.at.child(keyLike), join(component.ID.String(), keyLike)
	for _, key := range sortedKeys(component.values) {
		has := slices.ContainsFunc(known, func(f Field) bool { return f.Key == key })
		at := component.at.fields[key]
		if has || at == nil || at.owner == nil {
			continue
		}
		delete(component.values, key)
		c.add(n.value, path, "%s has the key %s (%s), which the kind %s does not have", at.owner.ID, key, c.src.line(at.key, n.value), component.Kind)
	}
}

// excused returns the keys that are missing from a component, but for which there is a
// better mistake: in the table that it is like, or of that.
func (c *Component) excused(known []Field) map[string]bool {
	all := map[string]bool{}
	for _, f := range known {
		if c.like.wrong || c.like.to != nil && c.like.to.Kind == c.Kind && c.like.to.values[f.Key] == nil {
			all[f.Key] = true
		}
	}
	return all
}
