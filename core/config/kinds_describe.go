package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// CheckDescriptions reports the kinds whose options hold more than they describe. It
// sets every option whose type has a meaning of its own, an address to listen on, a
// server, a secret, a reference, and wants each in the description under its key.
// Describe must not panic, on the zero options and the defaults either. A kind
// without such options needs no Describe. A test of every program calls it, beside
// CheckKinds.
func CheckDescriptions(reg *core.Registry) error { return checkEach(reg, checkDescription) }

// checkDescription checks one options struct.
func checkDescription(t reflect.Type) []error {
	options := reflect.New(t)
	if _, err := describe(options.Interface()); err != nil {
		return []error{fmt.Errorf("zero options: %w", err)}
	}
	if err := setDefaults(options.Elem()); err != nil {
		return []error{err} // CheckKinds says more
	}
	if _, err := describe(options.Interface()); err != nil {
		return []error{fmt.Errorf("default options: %w", err)}
	}
	var f filler
	f.fill(options.Elem())
	d, err := describe(options.Interface())
	if err != nil {
		return []error{fmt.Errorf("all options: %w", err)}
	}
	var errs []error
	for _, r := range f.required {
		if !r.toldBy(d) {
			errs = append(errs, fmt.Errorf("%s: Describe does not tell this %s", r.key, r.what))
		}
	}
	for _, key := range keysOf(d) {
		if !slices.Contains(f.keys, key) {
			errs = append(errs, fmt.Errorf("%s: Describe tells of this key, which the options do not have", key))
		}
	}
	return errs
}

// required is an option that a description must tell.
type required struct {
	key, what string
	value     any
}

// toldBy reports whether d tells the option as what it is.
func (r required) toldBy(d core.Description) bool {
	switch v := r.value.(type) {
	case option.Listen:
		return slices.ContainsFunc(d.Listeners, func(l core.Listener) bool { return l.Key == r.key && l.Addr == v.AddrPort() })
	case interface{ Addr() core.Addr }:
		return slices.ContainsFunc(d.Servers, func(s core.Server) bool { return s.Key == r.key && s.Addr == v.Addr() })
	case option.Text:
		return slices.Contains(d.Secrets, r.key)
	case core.Reference:
		return slices.ContainsFunc(d.Named(), func(n core.Named) bool {
			return n.Key == r.key && n.To.RefSection() == v.RefSection() && n.To.RefName() == v.RefName()
		})
	}
	return false
}

// keysOf returns the keys that a description tells of.
func keysOf(d core.Description) []string {
	keys := slices.Clone(d.Secrets)
	for _, l := range d.Listeners {
		keys = append(keys, l.Key)
	}
	for _, s := range d.Servers {
		keys = append(keys, s.Key)
	}
	if d.Ranges != "" {
		keys = append(keys, d.Ranges)
	}
	for _, u := range d.ForUsers {
		keys = append(keys, u.Key)
	}
	for _, n := range d.Named() {
		keys = append(keys, n.Key)
	}
	return keys
}

// filler sets the options of a struct.
type filler struct {
	required []required
	keys     []string // of all options, those in tables and lists too
}

// maxFilled bounds how deep tables are filled; a type may hold itself.
const maxFilled = 8

// fill sets the options in v that have a meaning of their own, each to another
// value. Lists and maps get an element.
func (f *filler) fill(v reflect.Value, key ...string) {
	if len(key) > maxFilled {
		return
	}
	if len(key) > 0 {
		f.keys = append(f.keys, core.OptionKey(key...))
	}
	switch t := v.Type(); {
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		f.fill(v.Elem(), key...)
	case option.ReadsText(t) || isReference(t):
		f.set(v, core.OptionKey(key...))
	case t.Kind() == reflect.Struct:
		for _, field := range Fields(t) {
			f.fill(field.In(v), append(slices.Clone(key), field.Key)...)
		}
	case t.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		f.fill(v.Index(0), append(slices.Clone(key), "0")...)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		const name = "name.example"
		element := reflect.New(t.Elem()).Elem()
		f.fill(element, append(slices.Clone(key), name)...)
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), element)
	}
}

// set sets one option, and notes it if a description must tell it.
func (f *filler) set(v reflect.Value, key string) {
	n := len(f.required) + 1
	what := ""
	switch p := v.Addr().Interface().(type) {
	case *option.Listen:
		what = "address"
		*p = option.ListenOn(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(n)))
	case *option.Text:
		what = "secret"
		*p = "secret"
	case interface{ Addr() core.Addr }:
		what = "server"
		_ = setText(v, fmt.Sprintf("server-%d.example:1", n))
	case core.Reference:
		what = "reference"
		name := "component-" + strconv.Itoa(n)
		if _ = setText(v, name); v.Interface().(core.Reference).RefName() == "" { // a reference to any section
			_ = setText(v, "outbound."+name)
		}
	default:
		if example := ExampleOf(v.Type()); example != "" {
			_ = setText(v, example)
		}
	}
	if what != "" {
		f.required = append(f.required, required{key, what, v.Interface()})
	}
}
