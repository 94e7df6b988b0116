package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// digestOf returns the digest of a component's kind, its table, those that it is like in it,
// and what the variables in it hold.
func digestOf(kind string, values map[string]any, variables []any) (sum [sha256.Size]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %#v %#v", kind, values, variables) // in the order of the keys
	h.Sum(sum[:0])
	return sum
}

// TableDigest returns a text that is the same for the components of one ID in two files if
// their own tables are. It is "" for an unknown one.
func (f *File) TableDigest(id ID) string {
	c := f.Components[id]
	if c == nil {
		return ""
	}
	return hex.EncodeToString(c.digest[:])
}

// TextDigest returns a text that is the same for two files if their texts are, those that
// they include with them.
func (f *File) TextDigest() string {
	h := sha256.New()
	for _, s := range f.src.all {
		fmt.Fprintf(h, "%q %q\n", s.name, s.text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Digest returns a text that is the same for the components of one ID in two files if their
// tables are, and those of all components that they name. It is "" for an unknown one.
func (f *File) Digest(id ID) string {
	if f.Components[id] == nil {
		return ""
	}
	h := sha256.New()
	seen := map[ID]bool{}
	var add func(id ID)
	add = func(id ID) {
		c := f.Components[id]
		if c == nil || seen[id] {
			return
		}
		seen[id] = true
		fmt.Fprintf(h, "%s %x\n", id, c.digest)
		for _, ref := range slices.SortedFunc(slices.Values(c.Refs), func(a, b ID) int {
			return cmp.Or(cmp.Compare(a.Section, b.Section), cmp.Compare(a.Name, b.Name))
		}) {
			add(ref)
		}
	}
	add(id)
	return hex.EncodeToString(h.Sum(nil))
}
