package app

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
)

// typeWords says in words what an option of type t takes.
func typeWords(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[option.Duration]():
		return "duration"
	case reflect.TypeFor[option.Listen]():
		return "address and port"
	case reflect.TypeFor[option.Server]():
		return "host and port"
	case reflect.TypeFor[option.NameServer]():
		return "DNS server"
	case reflect.TypeFor[option.IP]():
		return "address"
	case reflect.TypeFor[option.Prefix]():
		return "address range"
	case reflect.TypeFor[option.Text]():
		return "secret text"
	}
	if ref, ok := reflect.Zero(t).Interface().(core.Reference); ok {
		return fmt.Sprintf("name of a [%s.x]", ref.RefSection())
	}
	if config.ReadsText(t) {
		return "text"
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
	for !config.ReadsText(t) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			t = t.Elem()
			continue
		case reflect.Struct:
			return t, true
		}
		break
	}
	return nil, false
}
