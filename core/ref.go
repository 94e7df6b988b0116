package core

import (
	"fmt"
	"reflect"
)

// Ref is an option that names a component of the section whose contract is T: a
// Ref[Cipher] names a [cipher.x] table, by the bare name.
type Ref[T any] string

// A Reference is a Ref of any section.
type Reference interface {
	RefSection() Section
	RefName() string
}

// RefSection returns the section of the component, "" if T is no section's contract.
func (Ref[T]) RefSection() Section { return sectionOf(reflect.TypeFor[T]()) }

// RefName returns the name.
func (r Ref[T]) RefName() string { return string(r) }

// Get returns the component that r names. It is built first if need be.
func (r Ref[T]) Get(env Env) (T, error) {
	found, err := env.Graph.Component(r)
	c, ok := found.(T)
	if err == nil && !ok {
		err = fmt.Errorf("%s.%s is a %T, not a %s", r.RefSection(), r, found, reflect.TypeFor[T]())
	}
	return c, err
}
