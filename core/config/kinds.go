package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// CheckKinds reports the mistakes that a program makes in the options structs
// of its kinds: a field without a key or a help line, a type that no file can
// give, a default that can't be read, bounds that
// leave nothing. A test of every program calls it.
func CheckKinds(reg *core.Registry) error {
	return checkEach(reg, func(options reflect.Type) []error { return checkOptions(options, []string{keyKind, keyLike}, nil) })
}

// checkEach joins the mistakes that check finds in the options struct of each kind.
func checkEach(reg *core.Registry, check func(options reflect.Type) []error) error {
	list := &multierror.Error{ErrorFormat: lines}
	for _, s := range core.Sections() {
		kinds := reg.Section(s)
		for _, name := range kinds.Names() {
			info, _ := kinds.Describe(name)
			for _, err := range check(info.Options) {
				list = multierror.Append(list, fmt.Errorf("%s of kind %s: %w", s, name, err))
			}
		}
	}
	return list.ErrorOrNil()
}

// checkOptions checks one options struct. taken are the keys that it may not
// have, within the structs that it stands in.
func checkOptions(t reflect.Type, taken []string, within []reflect.Type) []error {
	if t.Kind() != reflect.Struct {
		return []error{fmt.Errorf("options are a %s; they must be a struct", t)}
	}
	if slices.Contains(within, t) {
		return nil
	}
	within = append(within, t)
	errs := checkTags(t)
	for _, f := range Fields(t) {
		for _, err := range checkField(f, within) {
			errs = append(errs, fmt.Errorf("%s: %w", f.Key, err))
		}
		if slices.Contains(taken, f.Key) {
			errs = append(errs, fmt.Errorf("%s: the key is taken", f.Key))
		}
		taken = append(taken, f.Key)
	}
	return errs
}

// checkTags finds fields that look like options but have no key.
func checkTags(t reflect.Type) []error {
	var errs []error
	for i := range t.NumField() {
		sf := t.Field(i)
		_, tagged := sf.Tag.Lookup("toml")
		switch {
		case sf.Type == reflect.TypeFor[core.About]():
			if sf.Tag.Get("help") == "" {
				errs = append(errs, errors.New("core.About has no help tag"))
			}
		case sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct:
			errs = append(errs, checkTags(sf.Type)...)
		case tagged && !sf.IsExported():
			errs = append(errs, fmt.Errorf("field %s has a toml tag but is not exported", sf.Name))
		case !tagged && sf.IsExported():
			errs = append(errs, fmt.Errorf("field %s has no toml tag", sf.Name))
		}
	}
	return errs
}

func checkField(f Field, within []reflect.Type) []error {
	var errs []error
	if !isName(f.Key) {
		errs = append(errs, errors.New("keys have only lower-case letters, digits, _ and -"))
	}
	if f.Help == "" {
		errs = append(errs, errors.New("no help tag"))
	}
	if f.Required && f.Default != "" {
		errs = append(errs, errors.New("both required and with a default"))
	}
	errs = append(errs, checkType(f.Type, within)...)
	if f.wrong != nil {
		errs = append(errs, f.wrong)
	}
	if f.Default != "" && len(errs) == 0 {
		if err := checkDefault(f); err != nil {
			errs = append(errs, fmt.Errorf("default: %w", err))
		}
	}
	return errs
}

// checkDefault checks that a field's default is of its type and within its bounds.
func checkDefault(f Field) error {
	v := reflect.New(f.Type).Elem()
	if err := setText(v, f.Default); err != nil {
		return err
	}
	var wrong error
	walk(v, &node{}, "", func(v reflect.Value, _ *node, _ string) {
		if err := f.Bounds.Check(v); err != nil && wrong == nil {
			wrong = err
		}
	})
	return wrong
}

// checkWords checks that a type reads the values and the example that it gives.
func checkWords(t reflect.Type) []error {
	var errs []error
	texts := ValuesOf(t)
	if example := ExampleOf(t); example != "" {
		texts = append(texts, example)
	}
	for _, text := range texts {
		if err := setText(reflect.New(t).Elem(), text); err != nil {
			errs = append(errs, fmt.Errorf("%s does not read its own %q: %w", t, text, err))
		}
	}
	return errs
}

// checkType checks that a file can give values of type t.
func checkType(t reflect.Type, within []reflect.Type) []error {
	if ref, ok := reflect.Zero(t).Interface().(core.Reference); ok && ref.RefSection() == "" && t != reflect.TypeFor[core.ChainStage]() {
		return []error{fmt.Errorf("%s names components of no section", t)}
	}
	if option.ReadsText(t) {
		return checkWords(t)
	}
	if t == reflect.TypeFor[time.Duration]() {
		return []error{errDuration}
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Pointer, reflect.Slice:
		return checkType(t.Elem(), within)
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return checkType(t.Elem(), within)
		}
	case reflect.Struct:
		return checkOptions(t, nil, within)
	}
	return []error{fmt.Errorf("no file can give a %s", t)}
}
