package config

import (
	"reflect"

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
			c.chainsIn(f.In(v), n.child(f.Key), join(path, f.Key))
		}
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			c.chainsIn(v.Index(i), n.item(i), path)
		}
	case t.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			c.chainsIn(v.MapIndex(key), n.child(key.String()), join(path, key.String()))
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
