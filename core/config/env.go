package config

import (
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// Keys of a table that stands in place of a value: { env = "PARIS", default = "…" }.
const (
	keyEnv     = "env"
	keyDefault = "default"
)

// Variable is a variable of the environment that a value is from.
type Variable struct {
	Name    string
	Default bool // the variable is not set: the value is the default beside it
}

// takesVariable reports whether a value may be from a variable: a text, a number, true or
// false. None of them is a table otherwise.
func takesVariable(v reflect.Value) bool {
	if _, ok := asText(v); ok {
		return true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Struct, reflect.Invalid:
		return false
	}
	return checkType(v.Type(), nil) == nil
}

// variableTable returns value as a table that stands in place of a value, or nil.
func variableTable(value any, into reflect.Value) map[string]any {
	table, _ := value.(map[string]any)
	if _, ok := table[keyEnv]; !ok || !takesVariable(into) {
		return nil
	}
	return table
}

// fromVariable decodes the value of a variable. From then on n stands for the name of the
// variable, or for the default.
func (c *checker) fromVariable(table map[string]any, into reflect.Value, bounds option.Bounds, n *node, path string) {
	name, ok := c.variableName(table, n, path)
	if !ok {
		return
	}
	var value any
	from, isDefault := n.child(keyEnv), false
	if text := lookupVariable(name); text != "" {
		if value = typed(text, into); value == nil {
			c.add(from.value, path, "want %s; the environment variable %s holds something else", wanted(into.Type()), name)
			return
		}
	} else if value, isDefault = table[keyDefault]; !isDefault {
		c.add(from.value, path, "the environment variable %s is not set; set it, or write a default beside it", name)
		return
	} else {
		from = n.child(keyDefault)
		if _, isTable := value.(map[string]any); isTable {
			c.wrongType(value, into.Type(), from, path)
			return
		}
	}
	n.value, n.variable = from.value, &Variable{name, isDefault}
	c.variables = append(c.variables, value)
	before := len(c.found)
	c.value(value, into, bounds, n, path)
	for i := range c.found[before:] {
		if !isDefault {
			m := &c.found[before+i]
			m.text = "$" + name + ": " + m.text
		}
	}
}

// variableName checks the keys of a table and returns the name of its variable.
func (c *checker) variableName(table map[string]any, n *node, path string) (name string, ok bool) {
	ok = true
	for _, key := range sortedKeys(table) {
		if key != keyEnv && key != keyDefault {
			c.unknownKey(key, []string{keyEnv, keyDefault}, n.child(key).key, join(path, key))
			ok = false
		}
	}
	at := n.child(keyEnv)
	name, isText := table[keyEnv].(string)
	switch {
	case !isText:
		c.wrongType(table[keyEnv], reflect.TypeFor[string](), at, join(path, keyEnv))
	case name == "" || strings.ContainsAny(name, "=\x00"):
		c.add(at.value, join(path, keyEnv), "want the name of an environment variable, got %s", show(name))
	default:
		return name, ok
	}
	return "", false
}

// lookupVariable returns the value of a variable, without the byte order mark and the line
// end of a file that it may be from. One that is set to nothing is as good as not set.
func lookupVariable(name string) string {
	return strings.TrimRight(strings.TrimPrefix(os.Getenv(name), "\ufeff"), "\r\n")
}

// typed returns what the TOML library would have read of a text for an option, or nil.
func typed(text string, into reflect.Value) any {
	if _, ok := asText(into); ok || into.Kind() == reflect.String {
		return text
	}
	switch {
	case into.Kind() == reflect.Bool && (text == "true" || text == "false"):
		return text == "true"
	case into.CanInt() || into.CanUint() || into.CanFloat():
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && into.CanFloat() {
			return f
		}
	}
	return nil
}
