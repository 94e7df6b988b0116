package app

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
)

// fieldWords says in words what an option takes: its type, its bounds, and an
// example where neither bounds nor a default give one.
func fieldWords(f config.Field) string {
	words := typeWords(f.Type)
	switch example := config.ExampleOf(option.ElementOf(f.Type)); {
	case f.Bounds.Words() != nil:
		return strings.Replace(words, "text", alternatives(f.Bounds.Words()), 1)
	case !f.Bounds.IsZero():
		return strings.TrimSuffix(words, ", not negative") + ", " + f.Bounds.String()
	case f.Default == "" && example != "":
		return words + " such as " + example
	}
	return words
}

// alternatives returns the values that an option may have, as a usage line has them.
func alternatives(values []string) string { return strings.Join(values, "|") }

// typeWords says in words what an option of type t takes.
func typeWords(t reflect.Type) string {
	if ref, ok := reflect.Zero(t).Interface().(core.Reference); ok {
		return fmt.Sprintf("name of a [%s.x]", ref.RefSection())
	}
	if option.ReadsText(t) {
		if values := config.ValuesOf(t); values != nil {
			return alternatives(values)
		}
		return cmp.Or(config.TypeOf(t), "text")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeWords(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		if config.TakesOne(t) {
			return typeWords(t.Elem()) + ", or a list"
		}
		return "list: " + typeWords(t.Elem())
	case reflect.Map:
		return "table of names: " + typeWords(t.Elem())
	case reflect.Struct:
		return "table"
	}
	if strings.HasPrefix(t.Kind().String(), "uint") {
		return "integer, not negative"
	}
	return "integer"
}

// tableOf returns the struct of an option that is a table, a list of tables or a
// table of tables.
func tableOf(t reflect.Type) (reflect.Type, bool) {
	t = option.ElementOf(t)
	return t, t.Kind() == reflect.Struct && !option.ReadsText(t)
}
