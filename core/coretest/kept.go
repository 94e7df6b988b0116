package coretest

import (
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/umbra-proxy/umbra/core"
)

// Kept returns a text for the state that each component of p keeps, so that a test can
// compare the state of a process before and after a file that must not change it. The
// text contains the address of each pointer, so another value with the same content
// differs too. It contains unexported fields. A struct is read with its mutexes held, and
// its atomic values are loaded, so that components may run concurrently.
//
// Values behind pointers to types of other modules are not described, except containers.
// Neither are components, structs with a core.Env, which belong to one file.
func Kept(p *core.Process) map[string]string {
	all := map[string]string{}
	p.Kept(func(key string, state any) {
		d := dump{seen: map[unsafe.Pointer]bool{}}
		d.value(reflect.ValueOf(state))
		all[key] = d.text.String()
	})
	return all
}

// dump is the text so far.
type dump struct {
	text strings.Builder
	seen map[unsafe.Pointer]bool
}

// described are the prefixes of the packages whose values are described behind pointers.
var described = []string{"github.com/umbra-proxy/umbra", "container/", "github.com/hashicorp/golang-lru", "golang.org/x/time/rate"}

func (d *dump) printf(format string, args ...any) { fmt.Fprintf(&d.text, format, args...) }

// value describes v, which was not obtained through an unexported field.
func (d *dump) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Invalid:
		d.printf("nil")
	case reflect.Pointer:
		d.pointer(v)
	case reflect.Interface:
		d.value(v.Elem())
	case reflect.Struct:
		d.structure(v)
	case reflect.Map:
		d.mapping(v)
	case reflect.Slice, reflect.Array:
		d.list(v)
	case reflect.Func, reflect.UnsafePointer:
		d.printf("%t", v.IsNil())
	case reflect.Chan:
		d.printf("%d of %d", v.Len(), v.Cap())
	case reflect.String:
		d.printf("%q", v.String()) // a secret too
	default:
		d.printf("%v", v)
	}
}

func (d *dump) pointer(v reflect.Value) {
	d.printf("%p", v.Interface())
	if v.IsNil() || d.seen[v.UnsafePointer()] || !isDescribed(v.Type().Elem()) {
		return
	}
	d.seen[v.UnsafePointer()] = true
	d.printf("→")
	d.value(v.Elem())
}

// isDescribed reports whether a pointer to t is followed.
func isDescribed(t reflect.Type) bool {
	if t.PkgPath() == "" {
		return true
	}
	if t == reflect.TypeFor[core.Process]() {
		return false
	}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if t.Field(i).Type == reflect.TypeFor[core.Env]() {
				return false
			}
		}
	}
	for _, prefix := range described {
		if strings.HasPrefix(t.PkgPath(), prefix) {
			return true
		}
	}
	return false
}

// structure describes the fields of a struct.
func (d *dump) structure(v reflect.Value) {
	switch v.Type().PkgPath() {
	case "net/netip", "time":
		d.printf("%v", v)
		return
	case "sync":
		return // the state of a mutex is not part of the text
	}
	v = addressable(v)
	if load := v.Addr().MethodByName("Load"); v.Type().PkgPath() == "sync/atomic" && load.IsValid() {
		d.value(load.Call(nil)[0])
		return
	}
	defer hold(v)()
	d.printf("%s{", v.Type())
	for i := range v.NumField() {
		d.printf(" %s:", v.Type().Field(i).Name)
		d.value(exported(v.Field(i)))
	}
	d.printf("}")
}

// hold locks the mutexes among the fields of v and returns a function that unlocks them.
func hold(v reflect.Value) (release func()) {
	var held []interface{ Unlock() }
	for i := range v.NumField() {
		if l, ok := exported(v.Field(i)).Addr().Interface().(interface {
			Lock()
			Unlock()
		}); ok && v.Field(i).Type().PkgPath() == "sync" {
			l.Lock()
			held = append(held, l)
		}
	}
	return func() {
		for _, l := range held {
			l.Unlock()
		}
	}
}

// mapping describes a map, ordered by the texts of its entries.
func (d *dump) mapping(v reflect.Value) {
	d.printf("map[")
	var rows []string
	for key, value := range v.Seq2() {
		row := dump{seen: maps.Clone(d.seen)} // so that the rows do not depend on the order
		row.value(key)
		row.printf(":")
		row.value(value)
		rows = append(rows, row.text.String())
	}
	slices.Sort(rows)
	d.printf("%s]", strings.Join(rows, " "))
}

// list describes a slice or an array; for numbers, by their count and a hash.
func (d *dump) list(v reflect.Value) {
	if k := v.Type().Elem().Kind(); k >= reflect.Bool && k <= reflect.Float64 {
		sum := fnv.New64a()
		for i := range v.Len() {
			fmt.Fprintln(sum, v.Index(i))
		}
		d.printf("%d of %x", v.Len(), sum.Sum64())
		return
	}
	d.printf("[")
	for i := range v.Len() {
		d.printf(" ")
		d.value(v.Index(i))
	}
	d.printf("]")
}

// addressable returns v, or a copy that can be addressed.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

// exported returns a field, which can be addressed, as if it were exported.
func exported(f reflect.Value) reflect.Value {
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}
