package config

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// keyKind is the key that says of what kind a component is.
const keyKind = "kind"

// component notes one [section.name] table of a component.
func (c *checker) component(id ID, values map[string]any, n *node) {
	component := &Component{ID: id, at: n, values: values}
	c.file.Components[id] = component
	c.order = append(c.order, component)
}

// components reads the tables of all components, each after the one that it is like.
func (c *checker) components() {
	for _, component := range c.order {
		c.inherit(component, nil)
	}
	done := map[*Component]bool{}
	var decode func(component *Component)
	decode = func(component *Component) {
		if done[component] {
			return
		}
		done[component] = true
		if to := component.like.to; to != nil {
			decode(to)
		}
		c.options(component)
	}
	for _, component := range c.order {
		decode(component)
	}
	for _, component := range c.order {
		component.values = nil
	}
}

// options reads the options of a component.
func (c *checker) options(component *Component) {
	value, own := component.values[keyKind]
	n, like := component.at, component.like
	switch {
	case own || like.to == nil && !like.wrong:
	case like.to == nil || like.to.Kind == "":
		return // what is wrong is known by now
	default:
		value = like.to.Kind
	}
	info, ok := c.kind(component.ID, value, n)
	if !ok {
		return
	}
	options := reflect.New(info.Options)
	component.Kind, component.Options = info.Name, options.Interface()
	component.values = maps.Clone(component.values)
	delete(component.values, keyKind)
	delete(component.values, keyLike)
	if like.to != nil || like.wrong {
		known := Fields(info.Options)
		if like.to != nil && like.to.Kind != component.Kind {
			c.checkTaken(component, known)
		}
		n.excused = component.excused(known)
		for _, child := range n.fields {
			child.told = child.owner != nil && child.owner.Kind == component.Kind
		}
	}
	c.variables = nil
	c.table(component.values, options.Elem(), n, component.ID.String())
	component.digest = digestOf(component.Kind, component.values, c.variables)
}

// text decodes a text that is no option. It returns false for a mistake.
func (c *checker) text(value any, into *string, n *node, path string) bool {
	before := len(c.found)
	c.value(value, reflect.ValueOf(into).Elem(), option.Bounds{}, n, path)
	return len(c.found) == before
}

// kind finds the kind of a component from the value of its `kind`, nil if it is
// left out.
func (c *checker) kind(id ID, value any, n *node) (core.KindInfo, bool) {
	kinds := c.reg.Section(id.Section)
	path, at := join(id.String(), keyKind), n.child(keyKind)
	name := cmp.Or(id.Section.DefaultKind(), id.Name)
	if value != nil && !c.text(value, &name, at, path) {
		return core.KindInfo{}, false
	}
	if info, ok := kinds.Describe(name); ok {
		return info, true
	}
	names := kinds.Names()
	all := slices.Clone(names)
	for _, n := range names {
		info, _ := kinds.Describe(n)
		all = append(all, info.Aliases...)
	}
	near := c.guess(name, all)
	switch {
	case near != "" && value == nil:
		c.add(n.key, id.String(), "%s is not a kind of %s; did you mean %s? if not, give kind = \"…\"", show(name), id.Section, show(near))
	case near != "":
		c.add(at.value, path, "unknown kind %s; did you mean %s?", show(name), show(near))
	case value == nil:
		c.add(n.key, id.String(), "%s is not a kind of %s; give kind = \"…\"%s", show(name), id.Section, knownKinds(names))
	default:
		c.add(at.value, path, "unknown kind %s%s", show(name), knownKinds(names))
	}
	return core.KindInfo{}, false
}

// knownKinds lists the first kinds of a section.
func knownKinds(names []string) string {
	const most = 12
	switch {
	case len(names) == 0:
		return "; this program has none"
	case len(names) > most:
		return "; known are " + strings.Join(names[:most], ", ") + " and more"
	}
	return "; known are " + strings.Join(names, ", ")
}
