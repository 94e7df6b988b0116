package match

import (
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

// Targets is a set of targets. All entries are added before seal, and looked up after.
type Targets struct {
	below, exact names
	keywords     keywords
	patterns     patterns
	networks     bart.Lite
}

// add adds an entry of any kind but file.
func (t *Targets) add(e entry) error {
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

func (t *Targets) seal() {
	t.below.seal()
	t.exact.seal()
}

// Len returns the number of entries.
func (t *Targets) Len() int {
	return t.below.len + t.exact.len + t.keywords.len + len(t.patterns.all) + t.networks.Size()
}

// Name returns the entry that matches a name, which has no dot at its end. folded is the
// name by Fold.
func (t *Targets) Name(name string, folded []byte) (Found, bool) {
	if t.exact.has(folded) {
		return Found{kind: exact, text: name}, true
	}
	if at, ok := t.below.above(folded); ok {
		return Found{kind: below, text: name[at:]}, true
	}
	if word, ok := t.keywords.in(folded); ok {
		return Found{kind: keyword, text: word}, true
	}
	if text, ok := t.patterns.in(name); ok {
		return Found{kind: pattern, text: text}, true
	}
	return Found{}, false
}

// Has reports whether an entry matches an address in the form of Plain.
func (t *Targets) Has(ip netip.Addr) bool { return t.networks.Contains(ip) }

// Range returns the narrowest entry that matches an address in the form of Plain.
func (t *Targets) Range(ip netip.Addr) (Found, bool) { return RangeOf(&t.networks, ip) }

// Ranges returns how many of the entries are ranges of addresses.
func (t *Targets) Ranges() int { return t.networks.Size() }

// RangeOf returns the narrowest range of a set that contains an address in the form of Plain.
func RangeOf(set *bart.Lite, ip netip.Addr) (Found, bool) {
	prefix, ok := set.LookupPrefixLPM(netip.PrefixFrom(ip, ip.BitLen()))
	return Found{kind: network, prefix: prefix}, ok
}

// Found is an entry that matches. Making one does not allocate; String does.
type Found struct {
	kind   kind
	text   string
	prefix netip.Prefix
}

// IsZero reports whether f is no entry.
func (f Found) IsZero() bool { return f.kind == 0 }

// String returns the entry in the form of a list.
func (f Found) String() string {
	switch {
	case f.prefix.IsValid() && f.prefix.IsSingleIP():
		return f.prefix.Addr().String()
	case f.prefix.IsValid():
		return f.prefix.String()
	case f.kind == below:
		return "suffix:." + strings.ToLower(f.text)
	case f.kind == exact:
		return "domain:" + strings.ToLower(f.text)
	case f.kind != 0:
		return words[f.kind] + ":" + f.text
	}
	return ""
}

// Plain returns an address in the form of sets: unmapped and without a zone.
func Plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

// Fold appends a name in the form of sets: in lower case, without a trailing dot.
func Fold(b []byte, name string) []byte { return lower(append(b, strings.TrimSuffix(name, ".")...)) }
