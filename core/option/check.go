package option

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

// Check returns an error, which names the key, for the first value of an options
// struct that is out of the bounds of its tags. A file's values are checked when it
// is read. A constructor that relies on the bounds calls Check too, because a
// program may fill in the struct itself. The zero value of an option that is neither
// required nor has a default passes: the option was left out.
func Check(options any) error { return checkTable(reflect.ValueOf(options), "") }

// checkTable checks a struct; prefix is the keys that lead to it, each with a dot.
func checkTable(table reflect.Value, prefix string) error {
	for i := range table.NumField() {
		field, v := table.Type().Field(i), table.Field(i)
		key, tagged := field.Tag.Lookup("toml")
		var err error
		switch {
		case field.Anonymous && !tagged && v.Kind() == reflect.Struct:
			err = checkTable(v, prefix)
		case !tagged || !field.IsExported():
		case v.IsZero() && field.Tag.Get("default") == "" && field.Tag.Get("required") != "true":
		default:
			var b Bounds
			if b, err = BoundsOf(field.Type, field.Tag); err == nil {
				err = checkValue(v, b, prefix+key)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkValue checks an option, or an element of one.
func checkValue(v reflect.Value, b Bounds, key string) error {
	switch isText := ReadsText(v.Type()); {
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			return checkValue(v.Elem(), b, key)
		}
	case v.Kind() == reflect.Struct && !isText:
		return checkTable(v, key+".")
	case v.Kind() == reflect.Slice && !isText:
		for i := range v.Len() {
			if err := checkValue(v.Index(i), b, key); err != nil {
				return err
			}
		}
	case v.Kind() == reflect.Map && !isText:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, name := range names {
			if err := checkValue(v.MapIndex(name), b, key+"."+name.String()); err != nil {
				return err
			}
		}
	case !b.IsZero():
		if err := b.Check(v); err != nil {
			return &core.OptionError{Key: key, Err: err}
		}
	}
	return nil
}
