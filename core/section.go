package core

import (
	"reflect"
	"slices"
	"strings"
)

// A Section is a kind of component. The sections are the words that the tables
// of a configuration file, the folders of the code and the registry share. A field of
// Registry declares one; nothing else lists them.
type Section string

// The sections that code names.
const (
	SectionInbound   Section = "inbound"
	SectionOutbound  Section = "outbound"
	SectionCipher    Section = "cipher"
	SectionTransport Section = "transport"
	SectionResolver  Section = "resolver"
	SectionPolicy    Section = "policy"
	SectionRule      Section = "rule"
	SectionObserver  Section = "observer"
)

// Place is where in a chain the components of a section may stand.
type Place string

// The places.
const (
	NoPlace         Place = ""                 // nowhere: options name them
	PlaceInbound    Place = "inbound"          // one in each chain
	PlaceMiddle     Place = "middle"           // between the inbound and the outbounds
	PlaceBeforeLast Place = "before outbounds" // on either side of the inbound
	PlaceOutbounds  Place = "outbounds"        // the end of the chain, one or more
)

// section is what a field of Registry declares.
type section struct {
	name     Section
	contract reflect.Type
	help     string
	place    Place
	kind     string // of a table that gives none, "" for the table's name
	field    int
}

// sections are those of Registry. They don't change.
var sections = sectionsOf(reflect.TypeFor[Registry]())

// sectionsOf returns the sections that a struct of Kinds declares.
func sectionsOf(registry reflect.Type) []section {
	var all []section
	for i := range registry.NumField() {
		f := registry.Field(i)
		contract := reflect.Zero(reflect.PointerTo(f.Type)).Interface().(interface{ contract() reflect.Type }).contract()
		all = append(all, section{
			name: Section(strings.ToLower(f.Name)), contract: contract, help: f.Tag.Get("help"), place: Place(f.Tag.Get("chain")), kind: f.Tag.Get("kind"), field: i,
		})
	}
	return all
}

// Sections lists all sections, in the order in which a person reads a file.
func Sections() []Section {
	var all []Section
	for _, s := range sections {
		all = append(all, s.name)
	}
	return all
}

// find returns the declaration of s, and whether there is one.
func (s Section) find() (section, bool) {
	i := slices.IndexFunc(sections, func(d section) bool { return d.name == s })
	if i < 0 {
		return section{}, false
	}
	return sections[i], true
}

// Help says in a line what the components of the section do.
func (s Section) Help() string {
	d, _ := s.find()
	return d.help
}

// Place returns where in a chain the components of the section may stand.
func (s Section) Place() Place {
	d, _ := s.find()
	return d.place
}

// DefaultKind returns the kind of a table that gives none, or "" if that is the table's name.
func (s Section) DefaultKind() string {
	d, _ := s.find()
	return d.kind
}

// sectionOf returns the section whose contract is t, or "".
func sectionOf(t reflect.Type) Section {
	for _, d := range sections {
		if d.contract == t {
			return d.name
		}
	}
	return ""
}
