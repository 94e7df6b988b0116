package config

import (
	"reflect"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// checkBranches checks the order of the chains that options hold.
func (c *checker) checkBranches() {
	for _, component := range c.order {
		if component.Options != nil {
			c.chainsIn(reflect.ValueOf(component.Options).Elem(), component.at, component.ID.String())
		}
	}
}

// chainsIn finds the chains in options.
func (c *checker) chainsIn(v reflect.Value, n *node, path string) {
	switch t := v.Type(); {
	case t == reflect.TypeFor[core.Chain]():
		if chain := v.Interface().(core.Chain); chain != nil {
			c.checkBranch(chain, n, path)
		}
	case option.ReadsText(t):
	case t.Kind() == reflect.Pointer && !v.IsNil():
		c.chainsIn(v.Elem(), n, path)
	case t.Kind() == reflect.Struct:
		for _, f := range Fields(t) {
			c.chainsIn(f.In(v), n.child(f.Key), n.path(path, f.Key))
		}
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			c.chainsIn(v.Index(i), n.item(i), path)
		}
	case t.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			c.chainsIn(v.MapIndex(key), n.child(key.String()), n.path(path, key.String()))
		}
	}
}

// checkBranch checks one chain: its middle stages come before its outbounds, of which there
// is one at least.
func (c *checker) checkBranch(chain core.Chain, n *node, path string) {
	seen := map[core.ChainStage]bool{}
	var hop core.ChainStage // the first outbound
	known := true
	for i, stage := range chain {
		at := n.item(i).value
		switch isHop := stage.RefSection().Place() == core.PlaceOutbounds; {
		case stage.RefName() == "": // wrong, which is known by now
			known = false
			continue
		case seen[stage]:
			c.add(at, path, "%s stands twice in this chain", stage)
		case hop.RefName() == "" && isHop:
			hop = stage
		case hop.RefName() != "" && !isHop:
			c.add(at, path, "%s stands after %s: it acts before anything is dialled; move it before %[2]s", stage, hop)
		}
		seen[stage] = true
	}
	if known && hop.RefName() == "" {
		c.add(n.value, path, "no outbound; a chain ends with one or more")
	}
}

// checkRanges finds rules with address ranges that hold for no name: neither their route nor
// a stage before it finds the addresses of names.
func (c *checker) checkRanges() {
	r := rangeCheck{checker: c, said: map[ID]bool{}}
	for _, p := range c.file.Pipelines {
		if i := p.inbound(); i < len(p.Chain) {
			r.chain(p.Chain[i+1:], false, nil)
		}
	}
}

// rangeCheck checks the rules of chains.
type rangeCheck struct {
	*checker
	said map[ID]bool // rules
}

// chain checks a chain and its branches. known says that the addresses of names are known
// when a request comes to it. within are the components whose branches it stands in.
func (r *rangeCheck) chain(chain []ID, known bool, within []ID) {
	for _, id := range chain {
		component := r.file.Components[id]
		if component == nil || slices.Contains(within, id) {
			return
		}
		d := component.Description
		within := append(slices.Clip(within), id)
		for _, n := range d.Judges {
			if rule := r.file.Components[ID{n.To.RefSection(), n.To.RefName()}]; n.Given() && rule != nil {
				r.rule(rule, id, known || len(d.Asks) > 0)
				r.branches(rule, known, within)
			}
		}
		r.branches(component, known, within)
		known = known || id.Section == core.SectionResolver || d.Targets.Names == core.NamesLookedUp
	}
}

// branches checks the branches of a component.
func (r *rangeCheck) branches(component *Component, known bool, within []ID) {
	for _, b := range component.Description.Branches {
		var chain []ID
		for _, n := range b.Chain {
			if n.Given() {
				chain = append(chain, ID{n.To.RefSection(), n.To.RefName()})
			}
		}
		r.chain(chain, known, within)
	}
}

// rule checks one rule of a route.
func (r *rangeCheck) rule(rule *Component, route ID, known bool) {
	key := rule.Description.Ranges
	if key == "" || known || r.said[rule.ID] {
		return
	}
	r.said[rule.ID] = true
	n, path := rule.find(key)
	text := r.src.textAt(n.value)
	if n.variable != nil && !n.variable.Default {
		text = "$" + n.variable.Name
	}
	r.add(n.value, path, "%s is a range, and a name never has an address here; give %s a resolver", text, route)
}
