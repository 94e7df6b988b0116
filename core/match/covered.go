package match

import (
	"slices"
)

// Covered returns how many entries of t match nothing that the others, together, do not
// match too. Of expressions only equal ones count.
func (t *Targets) Covered(by []*Targets) (n int) {
	any := func(has func(*Targets) bool) {
		if slices.ContainsFunc(by, has) {
			n++
		}
	}
	t.below.each(func(name []byte) {
		any(func(o *Targets) bool { return o.has(name) })
	})
	t.exact.each(func(name []byte) {
		any(func(o *Targets) bool { return o.exact.has(name) || o.has(name) })
	})
	for _, words := range t.keywords.by {
		for _, word := range words {
			any(func(o *Targets) bool { _, ok := o.keywords.in([]byte(word)); return ok })
		}
	}
	for _, e := range t.patterns.all {
		any(func(o *Targets) bool {
			return slices.ContainsFunc(o.patterns.all, func(p expression) bool { return p.text == e.text })
		})
	}
	for prefix := range t.networks.All() {
		any(func(o *Targets) bool { _, ok := o.networks.LookupPrefixLPM(prefix); return ok })
	}
	return n
}

// has reports whether a name and all names below it match.
func (t *Targets) has(name []byte) bool {
	if _, ok := t.below.above(name); ok {
		return true
	}
	_, ok := t.keywords.in(name)
	return ok
}

// each calls visit with each name.
func (s *names) each(visit func(name []byte)) {
	for at := 0; at < len(s.arena); {
		next := at + 1 + int(s.arena[at])
		visit(s.arena[at+1 : next])
		at = next
	}
}
