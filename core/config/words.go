package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

// wrongType records a value of the wrong type. It never quotes the value, which
// may be a secret.
func (c *checker) wrongType(value any, want reflect.Type, n *node, path string) {
	c.add(n.value, path, "want %s, got %s%s", wanted(want), typeName(value), mend(value, want))
}

// wanted says in words what an option of type t takes.
func wanted(t reflect.Type) string {
	if option.ReadsText(t) {
		if values := ValuesOf(t); values != nil {
			return "one of " + strings.Join(values, ", ")
		}
		if example := ExampleOf(t); example != "" {
			return "a string such as " + strconv.Quote(example)
		}
		return "a string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a table"
	}
	return "an integer"
}

// The methods by which a type of options describes itself (see core.Add).
type (
	hasType    interface{ Type() string }
	hasExample interface{ Example() string }
	hasValues  interface{ Values() []string }
	takesOne   interface{ TakesOne() }
)

// TakesOne reports whether a file may give one element in place of a list of type t.
func TakesOne(t reflect.Type) bool { return t.Implements(reflect.TypeFor[takesOne]()) }

// TypeOf returns what an option of type t is called, or "" if the type does not say.
func TypeOf(t reflect.Type) string {
	if v, ok := reflect.New(t).Interface().(hasType); ok {
		return v.Type()
	}
	return ""
}

// ExampleOf returns a text that t reads, or "" if the type does not say.
func ExampleOf(t reflect.Type) string {
	if v, ok := reflect.New(t).Interface().(hasExample); ok {
		return v.Example()
	}
	return ""
}

// ValuesOf returns the only texts that t reads, or nil if the type does not say.
func ValuesOf(t reflect.Type) []string {
	if v, ok := reflect.New(t).Interface().(hasValues); ok {
		return v.Values()
	}
	return nil
}

// typeName says in words what the TOML library read.
func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a number with a fraction"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date"
	case []map[string]any:
		return "a list of tables"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "something else"
}

// mend returns how a value becomes what is wanted, if that is plain.
func mend(value any, want reflect.Type) string {
	text, isText := value.(string)
	_, isList := value.([]any)
	table, isTable := value.(map[string]any)
	_, isVariable := table[keyEnv]
	switch {
	case want.Kind() == reflect.Slice && !isList && (!isTable || isVariable) && !option.ReadsText(want):
		return "; put it in [brackets]"
	case want.Kind() == reflect.Slice && isDotted(value):
		return "; a name with dots needs quotes"
	case isText && readsAs(text, want):
		return "; leave the quotes out"
	}
	return ""
}

// isDotted reports whether value is what becomes of a key with dots, such as a
// domain, in front of a list.
func isDotted(value any) bool {
	for {
		table, isTable := value.(map[string]any)
		if !isTable || len(table) != 1 {
			return false
		}
		for _, value = range table {
			if _, isList := value.([]any); isList {
				return true
			}
		}
	}
}

// readsAs reports whether text, without quotes, would be of type t.
func readsAs(text string, t reflect.Type) bool {
	var err error
	switch {
	case t.Kind() == reflect.Bool:
		return text == "true" || text == "false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		_, err = strconv.ParseInt(text, 10, 64)
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		_, err = strconv.ParseFloat(text, 64)
	default:
		return false
	}
	return err == nil
}
