package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Field is one key of an options struct, as its tags describe it (see
// core.Add).
type Field struct {
	Key      string
	Help     string
	Default  string // as text; "" for none
	Required bool
	Bounds   option.Bounds // of the value, or of each element of a list or a map
	Type     reflect.Type

	index []int
	wrong error // what is wrong with the tags of the bounds
}

// In returns the field's value in a struct of the type whose Fields it is from.
func (f Field) In(options reflect.Value) reflect.Value { return options.FieldByIndex(f.index) }

// fieldsOf remembers what Fields has found of a type, which depends on nothing else: a file
// may have thousands of tables of one kind.
var fieldsOf sync.Map // of []Field by reflect.Type

// Fields returns the keys that a table with the options struct t may have, in
// the struct's order. The fields of embedded structs stand where the struct
// does. The list must not be changed.
func Fields(t reflect.Type) []Field {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]Field)
	}
	found := readFields(t)
	fieldsOf.Store(t, found)
	return found
}

// readFields finds what Fields returns.
func readFields(t reflect.Type) []Field {
	var fields []Field
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		key, tagged := sf.Tag.Lookup("toml")
		if sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct {
			for _, f := range Fields(sf.Type) {
				f.index = append([]int{i}, f.index...) // a list of its own
				fields = append(fields, f)
			}
			continue
		}
		if !tagged || key == "-" || !sf.IsExported() {
			continue
		}
		bounds, wrong := option.BoundsOf(sf.Type, sf.Tag)
		fields = append(fields, Field{
			Key: key, Help: sf.Tag.Get("help"), Default: sf.Tag.Get("default"),
			Required: sf.Tag.Get("required") == "true", Bounds: bounds, Type: sf.Type, index: []int{i}, wrong: wrong,
		})
	}
	return fields
}

// setDefaults sets the fields of a struct to their defaults, those of tables
// inside it too.
func setDefaults(into reflect.Value) error {
	for _, f := range Fields(into.Type()) {
		v := f.In(into)
		if f.Default != "" {
			if err := setText(v, f.Default); err != nil {
				return fmt.Errorf("default of %s: %w", f.Key, err)
			}
		} else if isTable(v.Type()) {
			if err := setDefaults(v); err != nil {
				return fmt.Errorf("%s: %w", f.Key, err)
			}
		}
	}
	return nil
}

// setText sets v from a text, that of a default.
func setText(v reflect.Value, text string) error {
	if u, ok := asText(v); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return errDuration
	}
	var err error
	switch bits := v.Type(); v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err == nil {
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if n, err = strconv.ParseInt(text, 10, bits.Bits()); err == nil {
			v.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n uint64
		if n, err = strconv.ParseUint(text, 10, bits.Bits()); err == nil {
			v.SetUint(n)
		}
	case reflect.Float32, reflect.Float64:
		var x float64
		if x, err = strconv.ParseFloat(text, bits.Bits()); err == nil {
			v.SetFloat(x)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setText(v.Elem(), text)
	case reflect.Slice:
		return setList(v, strings.Split(text, ","))
	default:
		return fmt.Errorf("a default can't be given for a %s", v.Type())
	}
	return err
}

func setList(v reflect.Value, texts []string) error {
	list := reflect.MakeSlice(v.Type(), len(texts), len(texts))
	for i, text := range texts {
		if err := setText(list.Index(i), strings.TrimSpace(text)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// errDuration says why a type that looks usable is not: an integer would count
// nanoseconds.
var errDuration = errors.New("time.Duration reads no text; use option.Duration")

// asText returns v, which can be set, as a reader of text.
func asText(v reflect.Value) (encoding.TextUnmarshaler, bool) {
	if v.Kind() == reflect.Pointer {
		return nil, false // its element is asked, once it exists
	}
	u, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return u, ok
}

// isTable reports whether values of type t are tables of the file.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && !option.ReadsText(t) }

// isReference reports whether values of type t name components.
func isReference(t reflect.Type) bool { return t.Implements(reflect.TypeFor[core.Reference]()) }
