package acl

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// targets is a set of target entries. All entries are added before seal, and looked up
// after.
type targets struct {
	below, exact names
	keywords     keywords
	patterns     patterns
	networks     bart.Lite
}

// add adds an entry of any kind but file.
func (t *targets) add(e entry) error {
	switch e.kind {
	case below:
		return t.below.add(e.text)
	case exact:
		return t.exact.add(e.text)
	case keyword:
		return t.keywords.add(e.text)
	case pattern:
		return t.patterns.add(e.text)
	case network:
		t.networks.Insert(e.prefix)
	}
	return nil
}

func (t *targets) seal() {
	t.below.seal()
	t.exact.seal()
}

// len returns the number of entries.
func (t *targets) len() int {
	return t.below.len + t.exact.len + t.keywords.len + len(t.patterns.all) + t.networks.Size()
}

// name returns the entry that matches a name. folded is the name in lower case.
func (t *targets) name(name string, folded []byte) (reason, bool) {
	if t.exact.has(folded) {
		return reason{kind: exact, text: name}, true
	}
	if at, ok := t.below.above(folded); ok {
		return reason{kind: below, text: name[at:]}, true
	}
	if word, ok := t.keywords.in(folded); ok {
		return reason{kind: keyword, text: word}, true
	}
	if text, ok := t.patterns.in(name); ok {
		return reason{kind: pattern, text: text}, true
	}
	return reason{}, false
}

// has reports whether an entry matches an address, which must be unmapped and without
// a zone.
func (t *targets) has(ip netip.Addr) bool { return t.networks.Contains(ip) }

// find returns the narrowest range of a set that contains an address.
func find(set *bart.Lite, ip netip.Addr) (netip.Prefix, bool) {
	return set.LookupPrefixLPM(netip.PrefixFrom(ip, ip.BitLen()))
}
