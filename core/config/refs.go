package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// walk calls visit for each value in the options that is no struct, list or
// map, with where it stands.
func walk(v reflect.Value, n *node, path string, visit func(v reflect.Value, n *node, path string)) {
	switch t := v.Type(); {
	case t.Kind() == reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), n, path, visit)
		}
	case option.ReadsText(t):
		visit(v, n, path)
	case t.Kind() == reflect.Struct:
		for _, f := range Fields(t) {
			walk(f.In(v), n.child(f.Key), n.path(path, f.Key), visit)
		}
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), n.item(i), path, visit)
		}
	case t.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, key := range keys {
			walk(v.MapIndex(key), n.child(key.String()), n.path(path, key.String()), visit)
		}
	default:
		visit(v, n, path)
	}
}

// visit walks the options of a component whose kind is known.
func (c *Component) visit(do func(v reflect.Value, n *node, path string)) {
	if c.Options != nil {
		walk(reflect.ValueOf(c.Options), c.at, c.ID.String(), do)
	}
}

// place is where a reference stands.
type place struct {
	at   int
	path string
}

// checkReferences finds what the options of each component refer to.
func (c *checker) checkReferences() {
	names := c.names()
	at := map[*Component][]place{} // of the references, as in Refs
	for _, component := range c.order {
		seen := map[ID]bool{}
		component.visit(func(v reflect.Value, n *node, path string) {
			ref, ok := v.Interface().(core.Reference)
			if !ok || ref.RefName() == "" {
				return
			}
			id := ID{ref.RefSection(), ref.RefName()}
			switch {
			case c.ghost[id]:
			case c.file.Components[id] == nil:
				c.unknownReference(id, names[id.Section], n.value, path)
			case !seen[id]:
				seen[id] = true
				component.Refs = append(component.Refs, id)
				at[component] = append(at[component], place{n.value, path})
			}
		})
	}
	c.checkCycles(at)
}

// names returns the names of the components of each section.
func (c *checker) names() map[core.Section][]string {
	if c.known == nil {
		c.known = map[core.Section][]string{}
		for _, component := range c.order {
			c.known[component.ID.Section] = append(c.known[component.ID.Section], component.ID.Name)
		}
	}
	return c.known
}

func (c *checker) unknownReference(id ID, names []string, at int, path string) {
	if bare, ok := strings.CutPrefix(id.Name, string(id.Section)+"."); ok && slices.Contains(names, bare) {
		c.add(at, path, "write the bare name, %s", bare)
		return
	}
	c.add(at, path, "no [%s] in %s%s", id, c.src.these(), c.didYouMean(id.Name, names))
}

// checkCycles finds components that need each other, so that none can be built
// first.
func (c *checker) checkCycles(at map[*Component][]place) {
	const open, done = 1, 2
	state := map[*Component]int{}
	var trail []ID
	var follow func(component *Component)
	follow = func(component *Component) {
		state[component] = open
		trail = append(trail, component.ID)
		for i, id := range component.Refs {
			switch next := c.file.Components[id]; state[next] {
			case open:
				cycle := trail[slices.Index(trail, id):]
				var b strings.Builder
				for _, id := range cycle {
					fmt.Fprintf(&b, "%s -> ", id)
				}
				closing := at[component][i]
				c.add(closing.at, closing.path, "a cycle of references: %s%s", b.String(), id)
			case done:
			default:
				follow(next)
			}
		}
		trail = trail[:len(trail)-1]
		state[component] = done
	}
	for _, component := range c.order {
		if state[component] == 0 {
			follow(component)
		}
	}
}

// warnOfUnused warns of components that no pipeline needs.
func (c *checker) warnOfUnused() {
	used := map[ID]bool{}
	var use func(id ID)
	use = func(id ID) {
		if used[id] {
			return
		}
		used[id] = true
		component := c.file.Components[id]
		for _, ref := range component.Refs {
			use(ref)
		}
		if to := component.like.to; to != nil {
			use(to.ID)
		}
	}
	for _, p := range c.file.Pipelines {
		for _, id := range p.Chain {
			use(id)
		}
	}
	for _, stage := range append(slices.Clone(c.file.Manager.Gates), c.file.Manager.Chain...) {
		section, name, _ := strings.Cut(stage, ".")
		if id := (ID{core.Section(section), name}); c.file.Components[id] != nil {
			use(id)
		}
	}
	for _, component := range c.order {
		if !used[component.ID] {
			c.file.warn(component.at.key, component.ID.String(), "no pipeline uses it")
		}
	}
}

// warn records a warning, in order.
func (f *File) warn(at int, path, text string) {
	p := f.src.problem(at, path, text)
	if slices.Contains(f.Warnings, p) { // several tables may have a value from one
		return
	}
	f.Warnings = append(f.Warnings, p)
	slices.SortStableFunc(f.Warnings, compareProblems)
}

// warnOfSecrets warns of the first secret in each file that every user may read. It does
// not where all that the files listen on and dial is this machine's loopback,
// as in a demo: the key of such a cipher guards nothing from the machine's own
// users. The login of a store or of a proxy does.
func (f *File) warnOfSecrets() {
	reaches := false
	first := map[*source]place{}
	for _, component := range f.Components {
		for _, key := range component.Description.Secrets {
			n, path := component.find(key)
			src := f.src.of(n.value)
			if p, known := first[src]; src.exposed() && n.holdsValue() && (!known || n.value < p.at) {
				first[src] = place{n.value, path}
			}
			reaches = reaches || component.ID.Section != core.SectionCipher
		}
		for _, l := range component.Description.Listeners {
			reaches = reaches || l.Addr.IsValid() && !l.Addr.Addr().IsLoopback()
		}
		for _, s := range component.Description.Servers {
			reaches = reaches || s.Addr.IsValid() && !s.Addr.IP().IsLoopback()
		}
	}
	if src := f.src.all[0]; src.exposed() && len(f.Manager.Passwords) > 0 {
		n := src.root.child(tableManager).child("port_password")
		first[src], reaches = place{n.key, join(tableManager, "port_password")}, true
	}
	for _, p := range first {
		if reaches {
			f.warn(p.at, p.path, "every user of this machine may read this file and its secrets; take that right away with chmod o-r")
		}
	}
}
