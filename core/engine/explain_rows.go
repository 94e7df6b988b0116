package engine

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// row is one option of a drawing.
type row struct {
	depth int // 0 for the stage's own, one more for those of what it refers to
	key   string
	value string
}

// rows returns the options of a struct that are not empty. A reference is
// followed by the options of the component that it names, unless they stand
// further up.
func (d *drawing) rows(depth int, options reflect.Value) []row {
	var rows []row
	for _, f := range config.Fields(options.Type()) {
		v := f.In(options)
		refs := references(v)
		for i, ref := range refs {
			key := f.Key
			if i > 0 {
				key = ""
			}
			rows = append(rows, d.reference(depth, key, ref)...)
		}
		if len(refs) == 0 && !v.IsZero() {
			if text := d.show(v); text != "" {
				rows = append(rows, row{depth, f.Key, text})
			}
		}
	}
	return rows
}

// reference returns the rows of the component that ref names.
func (d *drawing) reference(depth int, key string, ref core.Reference) []row {
	c := d.file.Components[config.ID{Section: ref.RefSection(), Name: ref.RefName()}]
	options := reflect.ValueOf(c.Options).Elem()
	if d.shown[c.ID] {
		return []row{{depth, key, d.show(reflect.ValueOf(ref)) + ", as above"}}
	}
	d.shown[c.ID] = true
	text := d.show(reflect.ValueOf(ref))
	if about := About(options.Type()); about != "" {
		text += ", " + about
	}
	return append([]row{{depth, key, text}}, d.rows(depth+1, options)...)
}

// references returns the components that an option names, if it is a reference
// or a list of them.
func references(v reflect.Value) []core.Reference {
	if ref, ok := v.Interface().(core.Reference); ok && ref.RefName() != "" {
		return []core.Reference{ref}
	}
	var refs []core.Reference
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			refs = append(refs, references(v.Index(i))...)
		}
	}
	return refs
}

// show returns a value as text, its secrets redacted.
func (d *drawing) show(v reflect.Value) string {
	switch t := v.Interface().(type) {
	case core.Reference:
		c := d.file.Components[config.ID{Section: t.RefSection(), Name: t.RefName()}]
		switch {
		case c == nil:
			return ""
		case c.Kind == c.ID.Name:
			return c.Kind
		}
		return c.ID.Name + ": " + c.Kind
	case fmt.Stringer:
		return printable(t.String())
	case encoding.TextMarshaler:
		text, err := t.MarshalText()
		if err != nil {
			return ""
		}
		return printable(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return d.show(v.Elem())
	case reflect.Slice, reflect.Array:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = d.show(v.Index(i))
		}
		return strings.Join(texts, ", ")
	case reflect.Map:
		return d.showMap(v)
	case reflect.Struct:
		var texts []string
		for _, f := range config.Fields(v.Type()) {
			if field := f.In(v); !field.IsZero() {
				texts = append(texts, f.Key+" = "+d.show(field))
			}
		}
		return "{" + strings.Join(texts, ", ") + "}"
	}
	return printable(fmt.Sprint(v.Interface()))
}

func (d *drawing) showMap(v reflect.Value) string {
	keys := sortedKeys(v)
	texts := make([]string, len(keys))
	for i, key := range keys {
		value := d.show(v.MapIndex(key))
		switch item := v.MapIndex(key); {
		case item.Kind() == reflect.Map:
			value = "{" + value + "}"
		case item.Kind() == reflect.Slice && item.Len() > 1:
			value = "[" + value + "]"
		}
		texts[i] = printable(key.String()) + " = " + value
	}
	return strings.Join(texts, ", ")
}

// sortedKeys returns the keys of a map, in order.
func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

// printable returns s, quoted if something in it does not print.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
