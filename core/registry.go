package core

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Registry holds the kinds that a binary knows. It is a value that is passed
// around; nothing registers itself.
//
// Each field declares a section: its name in lower case is that of the section, the
// type argument of Kinds is the contract of its components, and the tags are
//
//	help:"…"   one line on what the components do
//	chain:"…"  the Place of its components in a chain, if they stand in chains
//	kind:"…"   the kind of a table that gives none, whatever its name
//
// A new section needs no other entry. Its components in chains are used for the roles
// that they have: Resolver, Gate, Middleware and Observer.
type Registry struct {
	Inbound   Kinds[Inbound]   `help:"accepts clients and reads what they ask for" chain:"inbound"`
	Outbound  Kinds[Outbound]  `help:"reaches the target, or the next hop" chain:"outbounds"`
	Cipher    Kinds[Cipher]    `help:"protects the bytes between an outbound and an inbound"`
	Transport Kinds[Transport] `help:"carries the wire under an inbound or outbound"`
	Resolver  Kinds[Resolver]  `help:"finds the addresses of names" chain:"middle"`
	Policy    Kinds[Policy]    `help:"decides who may do what" chain:"before outbounds"`
	Rule      Kinds[Rule]      `help:"a condition on requests, and the chain that it leads to" kind:"match"`
	Observer  Kinds[Observer]  `help:"is notified of every connection: logs, traces" chain:"before outbounds"`
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
// A type of lists with a method TakesOne() takes one element in place of a list.
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

// A Catalog is the kinds of one section without their Go type.
type Catalog interface {
	Names() []string
	Describe(name string) (KindInfo, bool)
	// Build calls the constructor of the kind with this name or alias and checks what
	// it returns: a component that is nil, that has no role in its section or that
	// has a method of a contract of core but not the contract, is an error.
	Build(name string, env Env, options any) (any, error)
}

// Section returns the kinds of one section, or nil for an unknown one.
func (r *Registry) Section(s Section) Catalog {
	d, ok := s.find()
	if !ok {
		return nil
	}
	return reflect.ValueOf(r).Elem().Field(d.field).Addr().Interface().(Catalog)
}

// Build returns a new component; see Catalog.
func (k *Kinds[T]) Build(name string, env Env, options any) (any, error) {
	kind, ok := k.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("no kind %q", name)
	}
	built, err := kind.New(env, options)
	if err != nil {
		return nil, err
	}
	return built, checkComponent(kind.Name, sectionOf(k.contract()), built)
}

// contract returns the type of the section's components.
func (*Kinds[T]) contract() reflect.Type { return reflect.TypeFor[T]() }

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
