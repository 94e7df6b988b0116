package engine

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
)

// finder says who finds the addresses of a name.
type finder struct {
	resolver config.ID // a table of the file, if it has a name
	server   config.ID // or the outbound whose server does
	text     string    // for people
}

// theSystem is the finder where a file names no other.
const theSystem = "the operating system's resolver, on this machine"

// targets returns who finds the names of a pipeline's targets.
func targets(f *config.File, p *config.Pipeline) finder {
	for _, id := range p.Middleware() {
		if id.Section == core.SectionResolver {
			return byResolver(f, id)
		}
		if ref := valueOf[core.Ref[core.Resolver]](f.Components[id]); ref != "" { // a policy that looks at addresses
			return byResolver(f, config.ID{Section: core.SectionResolver, Name: string(ref)})
		}
	}
	last := f.Components[p.Chain[len(p.Chain)-1]]
	if server := valueOf[option.Server](last); server.Addr().IsValid() {
		return finder{server: last.ID, text: fmt.Sprintf("the server of %s, which gets them as they are", last.ID)}
	}
	ref, takes := optionOf[core.Ref[core.Resolver]](last)
	switch {
	case ref != "":
		return byResolver(f, config.ID{Section: core.SectionResolver, Name: string(ref)})
	case takes:
		return finder{text: theSystem}
	}
	return finder{server: last.ID, text: fmt.Sprintf("nobody: %s asks for none", last.ID)}
}

// byResolver returns the finder that a resolver is.
func byResolver(f *config.File, id config.ID) finder {
	return finder{resolver: id, text: describe(f, id)}
}

// describe says how a resolver asks: itself, through an outbound, or others.
func describe(f *config.File, id config.ID) string {
	c := f.Components[id]
	if via := valueOf[core.Ref[core.Outbound]](c); via != "" {
		return fmt.Sprintf("%s, which asks through outbound.%s", id, via)
	}
	if len(valueOf[[]core.Ref[core.Resolver]](c)) > 0 {
		return id.String() + ", which asks others"
	}
	return id.String() + ", on this machine"
}

// others returns the resolvers that a resolver asks, in order.
func others(f *config.File, id config.ID) []named {
	var all []named
	if id.Name == "" {
		return nil
	}
	for i, ref := range valueOf[[]core.Ref[core.Resolver]](f.Components[id]) {
		other := config.ID{Section: core.SectionResolver, Name: string(ref)}
		all = append(all, named{[]string{"… first", "… then"}[min(i, 1)], describe(f, other)})
		all = append(all, others(f, other)...)
	}
	return all
}

// ofHop returns who finds the name of the server of outbound n of a pipeline.
func ofHop(p *config.Pipeline, n int, out *config.Component) string {
	ref := valueOf[core.Ref[core.Resolver]](out)
	switch {
	case ref != "":
		return fmt.Sprintf("resolver.%s, on this machine", ref)
	case n == 0:
		return theSystem
	}
	return fmt.Sprintf("the server of %s", p.Outbounds()[n-1])
}

// named is a name of the file, and who finds it.
type named struct{ name, finder string }

// names returns who finds the names that come up in a pipeline: those of its
// targets, and those of servers that the file has.
func (d *drawing) names(p *config.Pipeline) []named {
	by := targets(d.file, p)
	all := append([]named{{"targets", by.text}}, others(d.file, by.resolver)...)
	for n, id := range p.Outbounds() {
		out := d.file.Components[id]
		if name := valueOf[option.Server](out).Addr().Name(); name != "" {
			all = append(all, named{name, ofHop(p, n, out)})
		}
	}
	seen := map[config.ID]bool{}
	for _, id := range p.Chain {
		all = append(all, d.nameServers(id, seen)...)
	}
	return all
}

// nameServers returns who finds the names of DNS servers in a component and in
// those that it refers to, and of the server that it asks them through.
func (d *drawing) nameServers(id config.ID, seen map[config.ID]bool) []named {
	if seen[id] {
		return nil
	}
	seen[id] = true
	c := d.file.Components[id]
	var all []named
	for _, domains := range valuesOf[map[string][]option.NameServer](c) {
		for _, domain := range slices.Sorted(maps.Keys(domains)) {
			all = append(all, named{"… under " + domain, fmt.Sprintf("%s asks %s", id, d.show(reflect.ValueOf(domains[domain])))})
		}
	}
	for _, server := range valuesOf[option.NameServer](c) {
		if name := server.Addr().Name(); name != "" && !hasName(all, name) {
			all = append(all, named{name, d.ofNameServer(c, name)})
		}
	}
	for _, ref := range c.Refs {
		if ref.Section == core.SectionOutbound { // that is via, and stands in no chain as such
			if out := d.file.Components[ref]; valueOf[option.Server](out).Addr().Name() != "" {
				all = append(all, named{valueOf[option.Server](out).Addr().Name(), ofHop(nil, 0, out)})
			}
		}
		all = append(all, d.nameServers(ref, seen)...)
	}
	return all
}

func hasName(all []named, name string) bool {
	for _, n := range all {
		if n.name == name {
			return true
		}
	}
	return false
}

// ofNameServer returns who finds the name of a DNS server.
func (d *drawing) ofNameServer(c *config.Component, name string) string {
	via := valueOf[core.Ref[core.Outbound]](c)
	for _, fixed := range valuesOf[map[string][]option.IP](c) {
		if len(fixed[name]) > 0 {
			return "nobody: its addresses are in this file"
		}
	}
	if via == "" {
		return theSystem
	}
	out := d.file.Components[config.ID{Section: core.SectionOutbound, Name: string(via)}]
	if valueOf[option.Server](out).Addr().IsValid() {
		return fmt.Sprintf("the server of %s", out.ID)
	}
	if ref := valueOf[core.Ref[core.Resolver]](out); ref != "" {
		return fmt.Sprintf("resolver.%s, on this machine", ref)
	}
	return theSystem
}

// optionOf returns the first option of type T of a component, and whether its kind
// has one.
func optionOf[T any](c *config.Component) (value T, ok bool) {
	v := reflect.ValueOf(c.Options).Elem()
	for _, f := range config.Fields(v.Type()) {
		if value, ok = f.In(v).Interface().(T); ok {
			return value, true
		}
	}
	return value, false
}

// valueOf is optionOf without the second result.
func valueOf[T any](c *config.Component) T {
	value, _ := optionOf[T](c)
	return value
}

// valuesOf returns all options of type T of a component, those in lists and in
// tables of lists too.
func valuesOf[T any](c *config.Component) []T {
	var all []T
	var collect func(v reflect.Value)
	collect = func(v reflect.Value) {
		if value, ok := v.Interface().(T); ok {
			if !v.IsZero() {
				all = append(all, value)
			}
			return
		}
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				collect(v.Index(i))
			}
		case reflect.Map:
			for _, key := range sortedKeys(v) {
				collect(v.MapIndex(key))
			}
		}
	}
	v := reflect.ValueOf(c.Options).Elem()
	for _, f := range config.Fields(v.Type()) {
		collect(f.In(v))
	}
	return all
}
