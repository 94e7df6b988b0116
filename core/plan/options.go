package plan

import (
	"cmp"
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// options returns the options of a table that are not empty, in the struct's order.
func (b *builder) options(t config.Table, options reflect.Value) []Option {
	all := []Option{}
	for _, f := range config.Fields(options.Type()) {
		v := f.In(options)
		if v.IsZero() {
			continue
		}
		o := Option{Key: f.Key, Value: b.show(v)}
		for _, ref := range references(v) {
			if c := b.find(ref); c != nil {
				o.References = append(o.References, c.ID.String())
			}
		}
		b.origin(&o, t)
		if o.Value != "" {
			all = append(all, o)
		}
	}
	return all
}

// origin sets where the value of an option is from.
func (b *builder) origin(o *Option, t config.Table) {
	from := b.file.Origin(t, o.Key)
	if from.Like != nil {
		o.Like = from.Like.ID.String()
	}
	if from.File != b.file.Origin(t, "").File {
		o.File = b.relative(from.File)
	}
	for _, v := range from.Variables {
		o.Env = append(o.Env, Variable(v))
	}
}

// fileOf returns the file that a table stands in, or "" for the main one.
func (b *builder) fileOf(t config.Table) string {
	if file := b.file.Origin(t, "").File; file != b.file.Name {
		return b.relative(file)
	}
	return ""
}

// relative returns the path of a file from the folder of the main one.
func (b *builder) relative(file string) string {
	path, err := filepath.Rel(filepath.Dir(b.file.Name), file)
	if err != nil {
		return file
	}
	return filepath.ToSlash(path)
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
func (b *builder) show(v reflect.Value) string {
	switch t := v.Interface().(type) {
	case core.Reference:
		if c := b.find(t); c != nil {
			return shortTitle(c)
		}
		return ""
	case fmt.Stringer:
		return core.QuoteHidden(t.String())
	case encoding.TextMarshaler:
		text, err := t.MarshalText()
		if err != nil {
			return ""
		}
		return core.QuoteHidden(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return b.show(v.Elem())
	case reflect.Slice, reflect.Array:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = b.show(v.Index(i))
		}
		return strings.Join(texts, ", ")
	case reflect.Map:
		return b.showMap(v)
	case reflect.Struct:
		var texts []string
		for _, f := range config.Fields(v.Type()) {
			if field := f.In(v); !field.IsZero() {
				texts = append(texts, f.Key+" = "+b.show(field))
			}
		}
		return "{" + strings.Join(texts, ", ") + "}"
	}
	return core.QuoteHidden(fmt.Sprint(v.Interface()))
}

func (b *builder) showMap(v reflect.Value) string {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	texts := make([]string, len(keys))
	for i, key := range keys {
		value := b.show(v.MapIndex(key))
		switch item := v.MapIndex(key); {
		case item.Kind() == reflect.Map:
			value = "{" + value + "}"
		case item.Kind() == reflect.Slice && item.Len() > 1:
			value = "[" + value + "]"
		}
		texts[i] = core.QuoteHidden(key.String()) + " = " + value
	}
	return strings.Join(texts, ", ")
}

// title returns the name of a component as the title of a box.
func title(c *config.Component) string {
	if c.Kind == c.ID.Name {
		return c.ID.String()
	}
	return c.ID.String() + ", kind " + c.Kind
}

// shortTitle is title where the option says the section.
func shortTitle(c *config.Component) string {
	if c.Kind == c.ID.Name {
		return c.Kind
	}
	return c.ID.Name + ": " + c.Kind
}
