package acl

import (
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/convert"
)

// perRule is how many regular expressions a rule or a policy gets. umbra bounds what the
// expressions of one list may cost.
const perRule = 64

// Client writes the route of a local side, which sends to the outbounds proxy and direct,
// and returns its name. Ranges hold for names too, by the addresses that the resolver finds.
// Only TCP is divided: both programs send all UDP through the server.
func (f *File) Client(d *convert.Document, proxy, direct, resolver string) string {
	through, past := "outbound."+proxy, "outbound."+direct
	r := router{document: d, networks: []string{"tcp"}}
	names := func(list List, called, to string) {
		r.rules(called, list.Names, nil, to)
	}
	if f.Dialect == Rust {
		names(f.White, "proxy-names", through)
		names(f.Black, "bypass-names", past)
	} else {
		names(f.Black, "bypass-names", past)
		names(f.White, "proxy-names", through)
	}
	otherwise := through
	switch {
	case !f.Others:
		r.rules("bypass", f.Black.Ranges, nil, past)
	default:
		not := f.Black.Ranges
		if f.Dialect == Rust {
			not = nil // rust asks one list of ranges alone
		}
		r.rules("proxy", f.White.Ranges, not, through)
		r.networks = []string{"udp"}
		r.rule("udp", nil, nil, through)
		otherwise = past
	}
	return r.route("acl", otherwise, resolver)
}

// router writes rules and their route.
type router struct {
	document *convert.Document
	networks []string
	names    []string
}

// rules writes the rules of a list, several if it has many regular expressions.
func (r *router) rules(called string, entries, not []string, to string) {
	for _, part := range parts(entries) {
		r.rule(called, part, not, to)
	}
}

func (r *router) rule(called string, entries, not []string, to string) {
	name := r.document.Name("rule", called)
	t := r.document.Table("rule." + name)
	if entries != nil {
		t.Set("targets", entries)
	}
	if len(not) > 0 {
		t.Set("not_targets", not)
	}
	if r.networks != nil {
		t.Set("networks", r.networks)
	}
	t.Set("chain", []string{to})
	r.names = append(r.names, name)
}

// route writes the route and returns its name, or that of the outbound that gets everything
// if there is no rule.
func (r *router) route(called, otherwise, resolver string) string {
	if len(r.names) == 0 {
		return strings.TrimPrefix(otherwise, "outbound.")
	}
	name := r.document.Name("outbound", called)
	t := r.document.Table("outbound." + name)
	t.Set("kind", "route")
	t.Set("rules", r.names)
	t.Set("otherwise", []string{otherwise})
	t.Set("resolver", resolver)
	return name
}

// parts divides entries so that no part has more than perRule expressions.
func parts(entries []string) [][]string {
	var all [][]string
	var part, expressions []string
	for _, e := range entries {
		if !strings.HasPrefix(e, "regexp:") {
			part = append(part, e)
			continue
		}
		if expressions = append(expressions, e); len(expressions) == perRule {
			all, expressions = append(all, expressions), nil
		}
	}
	if part = append(part, expressions...); len(part) > 0 {
		all = append(all, part)
	}
	return all
}

// clients writes the policies of a server about its clients' addresses.
func (f *File) clients(d *convert.Document) []string {
	var chain []string
	policy := func(called string, set func(*convert.Table)) {
		name := d.Name("policy", called)
		t := d.Table("policy." + name)
		t.Set("kind", "acl")
		set(t)
		chain = append(chain, "policy."+name)
	}
	if len(f.Black.Ranges) > 0 && (!f.Others || f.Dialect == Libev) {
		policy("clients", func(t *convert.Table) { t.Set("deny_sources", f.Black.Ranges) })
	}
	if !f.Others {
		return chain
	}
	served := f.White.Ranges
	if len(served) == 0 {
		served = []string{"255.255.255.255"} // nobody's address
	}
	policy("served", func(t *convert.Table) { t.Set("default", "deny"); t.Set("allow_sources", served) })
	return chain
}

// Server writes whom a server serves and what it connects to for nobody, and returns what its
// chain has after the inbound. Its end is the outbound direct, which connects.
func (f *File) Server(d *convert.Document, direct, resolver string) []string {
	return append(f.clients(d), f.targets(d, direct, resolver)...)
}

func (f *File) targets(d *convert.Document, direct, resolver string) []string {
	out := "outbound." + direct
	if len(f.Allow.Names) == 0 && !f.Closed {
		return append(f.denied(d, f.Block.all(), resolver), out)
	}
	rest := f.denied(d, f.Block.Ranges, resolver)
	if f.Closed {
		rest = f.allowed(d, resolver)
	}
	r := router{document: d}
	if len(f.Block.Names) > 0 {
		block := d.Name("outbound", "nowhere")
		d.Table("outbound."+block).Set("kind", "block")
		r.rules("blocked", f.Block.Names, nil, "outbound."+block)
	}
	r.rules("allowed", f.Allow.Names, nil, out)
	if len(r.names) == 0 {
		return append(rest, out)
	}
	chain := d.Name("outbound", "others")
	t := d.Table("outbound." + chain)
	t.Set("kind", "chain")
	t.Set("chain", append(rest, out))
	return []string{"outbound." + r.route("acl", "outbound."+chain, resolver)}
}

// denied writes policies that deny targets.
func (f *File) denied(d *convert.Document, targets []string, resolver string) []string {
	var chain []string
	for i, part := range parts(targets) {
		name := d.Name("policy", "blocked")
		t := d.Table("policy." + name)
		t.Set("kind", "acl")
		t.Set("deny_targets", part)
		if resolver != "" {
			t.Set("resolver", resolver)
		}
		if i == 0 {
			t.Say("what the ACL file's [outbound_block_list] has, %s entries", strconv.Itoa(len(targets)))
		}
		chain = append(chain, "policy."+name)
	}
	return chain
}

// allowed writes the policy that allows the ranges of Allow alone.
func (f *File) allowed(d *convert.Document, resolver string) []string {
	ranges := f.Allow.Ranges
	if len(ranges) == 0 {
		ranges = []string{"255.255.255.255"} // no target
	}
	name := d.Name("policy", "allowed")
	t := d.Table("policy." + name)
	t.Set("kind", "acl")
	t.Set("default", "deny")
	t.Set("allow_targets", ranges)
	t.Set("resolver", resolver)
	return []string{"policy." + name}
}
