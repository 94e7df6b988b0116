package config

import (
	"reflect"

	"github.com/umbra-proxy/umbra/core"
)

// About returns the help line of a kind, which stands in the tag of the
// core.About field of its options struct.
func About(options reflect.Type) string {
	for i := range options.NumField() {
		if f := options.Field(i); f.Type == reflect.TypeFor[core.About]() {
			return f.Tag.Get("help")
		}
	}
	return ""
}
