package config

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// table decodes the values of a table into a struct. It sets defaults first,
// and then decodes each value alone, so that each mistake is found.
func (c *checker) table(values map[string]any, into reflect.Value, n *node, path string) {
	if err := setDefaults(into); err != nil {
		c.add(n.key, path, "a mistake in the program: %v", err)
	}
	fields := Fields(into.Type())
	byKey := make(map[string]Field, len(fields))
	keys := make([]string, len(fields))
	for i, f := range fields {
		byKey[f.Key], keys[i] = f, f.Key
	}
	given := map[string]bool{}
	for _, key := range sortedKeys(values) {
		f, ok := byKey[key]
		before := len(c.found)
		if !ok && n.child(key).told {
			continue
		}
		if !ok {
			given[c.unknownKey(key, keys, n.child(key).key, n.path(path, key))] = true
			continue
		}
		given[key] = true
		if f.wrong != nil {
			c.add(n.child(key).value, n.path(path, key), "a mistake in the program: %v", f.wrong)
			continue
		}
		c.value(values[key], f.In(into), f.Bounds, n.child(key), n.path(path, key))
		if n.child(key).told {
			c.found = c.found[:before]
		}
	}
	for _, f := range fields {
		if f.Required && !given[f.Key] && !n.excused[f.Key] {
			c.add(n.key, join(path, f.Key), "missing; %s", f.Help)
		}
	}
}

// unknownKey records a key that its table does not have and returns the key
// that was meant, or "". path is that of the key.
func (c *checker) unknownKey(key string, known []string, at int, path string) string {
	near := c.guess(key, known)
	switch {
	case near == "" && !isName(key):
		c.add(at, path, "keys have only lower-case letters, digits, _ and -")
	case near != "" && strings.ToLower(key) == near:
		c.add(at, path, "keys are in lower case; write %s", near)
	case near != "":
		c.add(at, path, "unknown key; did you mean %s?", near)
	case len(known) == 0:
		c.add(at, path, "unknown key; this table takes none")
	case len(known) <= 8:
		c.add(at, path, "unknown key; known are %s", strings.Join(known, ", "))
	default:
		c.add(at, path, "unknown key")
	}
	return near
}

// value decodes one value, which must be within bounds.
func (c *checker) value(value any, into reflect.Value, bounds option.Bounds, n *node, path string) {
	if table := variableTable(value, into); table != nil {
		c.fromVariable(table, into, bounds, n, path)
		return
	}
	if u, ok := asText(into); ok {
		text, ok := value.(string)
		if !ok {
			c.wrongType(value, into.Type(), n, path)
		} else if err := u.UnmarshalText([]byte(text)); err != nil {
			c.add(n.value, path, "%v%s", err, c.didYouMean(text, ValuesOf(into.Type())))
		} else {
			c.emptyReference(text, into, n, path)
			c.checkBounds(into, bounds, n, path)
		}
		return
	}
	fits := false
	switch into.Kind() {
	case reflect.Pointer:
		v := reflect.New(into.Type().Elem())
		c.value(value, v.Elem(), bounds, n, path)
		into.Set(v)
		return
	case reflect.Struct:
		var values map[string]any
		if values, fits = value.(map[string]any); fits {
			c.table(values, into, n, path)
		}
	case reflect.Map:
		var values map[string]any
		if values, fits = value.(map[string]any); fits {
			c.mapping(values, into, bounds, n, path)
		}
	case reflect.Slice:
		fits = c.list(value, into, bounds, n, path)
	default:
		if errs := checkType(into.Type(), nil); errs != nil {
			c.add(n.value, path, "a mistake in the program: %v", errs[0])
			return
		}
		fits = c.scalar(value, into, bounds, n, path)
	}
	if !fits {
		c.wrongType(value, into.Type(), n, path)
	}
}

func (c *checker) emptyReference(text string, into reflect.Value, n *node, path string) {
	if text == "" && isReference(into.Type()) {
		c.add(n.value, path, "empty; give the name of a component or leave the key out")
	}
}

// mapping decodes a table whose keys the writer chooses.
func (c *checker) mapping(values map[string]any, into reflect.Value, bounds option.Bounds, n *node, path string) {
	t := into.Type()
	into.Set(reflect.MakeMapWithSize(t, len(values)))
	for _, key := range sortedKeys(values) {
		v := reflect.New(t.Elem()).Elem()
		c.value(values[key], v, bounds, n.child(key), join(path, key))
		into.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), v)
	}
}

// list decodes a list, or a list of tables. It returns false for other values, unless the
// list takes one.
func (c *checker) list(value any, into reflect.Value, bounds option.Bounds, n *node, path string) bool {
	var values []any
	switch v := value.(type) {
	case []any:
		values = v
	case []map[string]any:
		for _, table := range v {
			values = append(values, table)
		}
	default:
		if !TakesOne(into.Type()) {
			return false
		}
		values = []any{value}
	}
	into.Set(reflect.MakeSlice(into.Type(), len(values), len(values)))
	for i, v := range values {
		c.value(v, into.Index(i), bounds, n.item(i), path)
	}
	return true
}

// scalar decodes a string, a number or a boolean. It returns false if value is
// of another type.
func (c *checker) scalar(value any, into reflect.Value, bounds option.Bounds, n *node, path string) bool {
	switch v := value.(type) {
	case string:
		if into.Kind() != reflect.String {
			return false
		}
		into.SetString(v)
		c.emptyReference(v, into, n, path)
	case bool:
		if into.Kind() != reflect.Bool {
			return false
		}
		into.SetBool(v)
	case float64:
		if !into.CanFloat() {
			return false
		}
		into.SetFloat(v)
	case int64:
		switch {
		case into.CanFloat():
			into.SetFloat(float64(v))
		case into.CanInt() && !into.OverflowInt(v):
			into.SetInt(v)
		case into.CanUint() && v >= 0 && !into.OverflowUint(uint64(v)):
			into.SetUint(uint64(v))
		case into.CanInt() || into.CanUint():
			c.add(n.value, path, "out of range; want an integer %s", rangeOf(into.Type()))
			return true
		default:
			return false
		}
	default:
		return false
	}
	c.checkBounds(into, bounds, n, path)
	return true
}

// checkBounds records a value that is out of its bounds.
func (c *checker) checkBounds(v reflect.Value, bounds option.Bounds, n *node, path string) {
	if err := bounds.Check(v); err != nil {
		near := ""
		if words := bounds.Words(); words != nil {
			near = c.didYouMean(v.String(), words)
		}
		c.add(n.value, path, "%v%s", err, near)
	}
}

// rangeOf returns the range of an integer type in words.
func rangeOf(t reflect.Type) string {
	bits := t.Bits()
	switch {
	case t.Kind() >= reflect.Uint && bits == 64:
		return "of 0 or more"
	case t.Kind() >= reflect.Uint:
		return "from 0 to " + strconv.FormatUint(1<<bits-1, 10)
	}
	return "from " + strconv.FormatInt(-1<<(bits-1), 10) + " to " + strconv.FormatInt(1<<(bits-1)-1, 10)
}
