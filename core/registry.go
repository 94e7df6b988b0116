package core

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Section is a kind of component. The sections are the words that the tables
// of a configuration file, the folders of the code and the registry share.
type Section string

// The sections, in the order in which a person reads a file.
const (
	SectionInbound   Section = "inbound"
	SectionOutbound  Section = "outbound"
	SectionCipher    Section = "cipher"
	SectionTransport Section = "transport"
	SectionResolver  Section = "resolver"
	SectionPolicy    Section = "policy"
)

// Sections lists all sections.
func Sections() []Section {
	return []Section{SectionInbound, SectionOutbound, SectionCipher, SectionTransport, SectionResolver, SectionPolicy}
}

// Registry holds the kinds that a binary knows. It is a value that is passed
// around; nothing registers itself.
type Registry struct {
	Inbound   Kinds[Inbound]
	Outbound  Kinds[Outbound]
	Cipher    Kinds[Cipher]
	Transport Kinds[Transport]
	Resolver  Kinds[Resolver]
	Policy    Kinds[Policy]
}

// Kinds holds the kinds of one section. The zero Kinds is empty and ready.
type Kinds[T any] struct {
	byName map[string]Kind[T]
	alias  map[string]string
}

// A Kind is the constructor of one kind of component, and what is needed to
// describe it and to decode its table.
type Kind[T any] struct {
	Name    string
	Options reflect.Type                          // the options struct
	New     func(env Env, options any) (T, error) // options is a pointer to an Options
}

// Add registers a kind under its name, which a file gives as `kind`, and its
// aliases. The options struct O describes the kind's table: a field that a file
// may set has a `toml:"key"` tag, and beside it
//
//	help:"…"     one line on what it does, required
//	default:"…"  its default as text; lists are split at commas
//	required:"true"  if the table must have it
//	min:"…"      the least value; the value itself is refused after a ">", as in ">0s"
//	max:"…"      the greatest value
//	oneof:"…"    the only values of a plain string, split at commas
//
// min and max are for numbers and for types that are numbers and read themselves
// from text, such as option.Duration; the tag has the text that a file would have.
// On a pointer, a list or a map the bounds hold for each element, not for how many
// there are. A file that breaks them is refused before build is called. A program
// that calls a constructor itself bypasses this check: a constructor that relies on
// the bounds calls option.Check. A bound that depends on another option can't be a
// tag; the constructor checks it.
//
// A type that reads itself from text may describe itself, for messages and for
// `umbra kinds`, by methods that are called on its zero value:
//
//	Type() string      what such an option is called: "duration"
//	Example() string   a text that it reads: "30s"
//	Values() []string  all texts that it reads, if they are few
//
// A blank field of type About has the kind's own help line. Embedded structs
// without a tag are part of the table. A name has lower-case letters, digits, "_"
// and "-". Add panics on another one, and on a name or an alias that is taken: that
// is a mistake in the program.
func Add[T, O any](k *Kinds[T], name string, build func(env Env, options O) (T, error), aliases ...string) {
	if k.byName == nil {
		k.byName, k.alias = map[string]Kind[T]{}, map[string]string{}
	}
	for _, n := range append([]string{name}, aliases...) {
		if n == "" || strings.Trim(n, kindLetters) != "" {
			panic(fmt.Sprintf("core: kind %q: a name has lower-case letters, digits, \"_\" and \"-\"", n))
		}
		if _, taken := k.alias[n]; taken {
			panic(fmt.Sprintf("core: kind %q is registered twice", n))
		}
		k.alias[n] = name
	}
	k.byName[name] = Kind[T]{
		Name:    name,
		Options: reflect.TypeFor[O](),
		New:     func(env Env, options any) (T, error) { return build(env, *options.(*O)) },
	}
}

// kindLetters are what names of kinds are made of.
const kindLetters = "abcdefghijklmnopqrstuvwxyz0123456789_-"

// Lookup returns the kind that name or one of its aliases stands for.
func (k *Kinds[T]) Lookup(name string) (Kind[T], bool) {
	kind, ok := k.byName[k.alias[name]]
	return kind, ok
}

// Describe returns what a file may say of the kind with this name or alias.
func (k *Kinds[T]) Describe(name string) (KindInfo, bool) {
	kind, ok := k.Lookup(name)
	if !ok {
		return KindInfo{}, false
	}
	info := KindInfo{Name: kind.Name, Options: kind.Options}
	for _, a := range slices.Sorted(maps.Keys(k.alias)) {
		if k.alias[a] == kind.Name && a != kind.Name {
			info.Aliases = append(info.Aliases, a)
		}
	}
	return info, true
}

// Names returns the names of the kinds, sorted, without aliases.
func (k *Kinds[T]) Names() []string { return slices.Sorted(maps.Keys(k.byName)) }

// KindInfo is what can be said of a kind without its Go type.
type KindInfo struct {
	Name    string
	Aliases []string
	Options reflect.Type
}

// A Catalog is the part of a Registry that needs no Go type: it tells names and
// options.
type Catalog interface {
	Names() []string
	Describe(name string) (KindInfo, bool)
}

// Section returns the kinds of one section, or nil for an unknown one.
func (r *Registry) Section(s Section) Catalog {
	switch s {
	case SectionInbound:
		return &r.Inbound
	case SectionOutbound:
		return &r.Outbound
	case SectionCipher:
		return &r.Cipher
	case SectionTransport:
		return &r.Transport
	case SectionResolver:
		return &r.Resolver
	case SectionPolicy:
		return &r.Policy
	}
	return nil
}

// About carries the help line of a kind in the tag of a blank field:
//
//	type Options struct {
//		_ core.About `help:"reaches targets straight from this machine"`
//		…
//	}
//
// A cipher whose key must have an exact size adds it, in bytes, as `key:"32"`:
// `umbra keygen` makes one of that size. 0 says that it needs none.
//
// A cipher that does not authenticate adds `insecure:"true"`, and has an option
// insecure that must be true: `umbra bench` sets it, marks the method and never
// recommends it.
type About struct{}
