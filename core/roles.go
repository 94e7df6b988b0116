package core

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// optional is a contract that a component may have beside that of its section. Its
// users find it by a type assertion, so a component that misses it by a typing error
// would lose it in silence. A method with one of the names in signs shows that the
// contract was meant.
type optional struct {
	name     string
	contract reflect.Type
	section  Section // whose components are asked for it; "" for all
	signs    []string
}

// optionals are the optional contracts. They don't change.
var optionals = []optional{
	{"core.Runner", reflect.TypeFor[Runner](), "", []string{"Run"}},
	{"core.Commander", reflect.TypeFor[Commander](), "", []string{"Command"}},
	{"core.Shutdowner", reflect.TypeFor[Shutdowner](), "", []string{"Shutdown"}},
	{"core.Gate", reflect.TypeFor[Gate](), SectionPolicy, []string{"Admit"}},
	{"core.Middleware", reflect.TypeFor[Middleware](), SectionPolicy, []string{"Wrap"}},
	{"core.Observer", reflect.TypeFor[Observer](), SectionPolicy, []string{"Observe"}},
	{"core.PacketInbound", reflect.TypeFor[PacketInbound](), SectionInbound, []string{"ServesPackets"}},
	{"core.PacketCipher", reflect.TypeFor[PacketCipher](), SectionCipher, []string{"NewPacketClient", "NewPacketServer"}},
	{"core.RelayCipher", reflect.TypeFor[RelayCipher](), SectionCipher, []string{"NewRelay"}},
	{"core.ServerChecker", reflect.TypeFor[ServerChecker](), SectionTransport, []string{"CheckServer"}},
	{"core.ClientChecker", reflect.TypeFor[ClientChecker](), SectionTransport, []string{"CheckClient"}},
	{"core.Teller", reflect.TypeFor[Teller](), SectionResolver, []string{"Tell"}},
}

// checkComponent returns why a component that a constructor returned can't be used.
func checkComponent(kind string, s Section, c any) error {
	t := reflect.TypeOf(c)
	if t == nil || t.Kind() == reflect.Pointer && reflect.ValueOf(c).IsNil() {
		return fmt.Errorf("kind %q: its constructor returned neither a component nor an error", kind)
	}
	var errs []error
	for _, o := range optionals {
		if o.section != "" && o.section != s || t.Implements(o.contract) {
			continue
		}
		if i := slices.IndexFunc(o.signs, func(name string) bool { _, ok := methodOf(t, name); return ok }); i >= 0 {
			errs = append(errs, fmt.Errorf("kind %q has the method %s but is no %s, so the method would never be called: %w", kind, o.signs[i], o.name, misses(t, o.contract)))
		}
	}
	if len(errs) == 0 && s == SectionPolicy {
		errs = append(errs, checkPolicy(kind, c))
	}
	return errors.Join(errs...)
}

// checkPolicy returns an error for a policy without a role.
func checkPolicy(kind string, p Policy) error {
	switch p.(type) {
	case Gate, Middleware, Observer:
		return nil
	}
	has := "it has no exported methods"
	if names := methodNames(reflect.TypeOf(p)); len(names) > 0 {
		has = "its methods are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("kind %q is neither a gate, a middleware nor an observer, so it would do nothing; %s", kind, has)
}

// methodOf returns the type, without receiver, of the method of t, or of a pointer to
// t, with this name.
func methodOf(t reflect.Type, name string) (reflect.Type, bool) {
	m, ok := t.MethodByName(name)
	if !ok && t.Kind() != reflect.Pointer {
		m, ok = reflect.PointerTo(t).MethodByName(name)
	}
	if !ok {
		return nil, false
	}
	var in, out []reflect.Type
	for i := 1; i < m.Type.NumIn(); i++ {
		in = append(in, m.Type.In(i))
	}
	for i := range m.Type.NumOut() {
		out = append(out, m.Type.Out(i))
	}
	return reflect.FuncOf(in, out, m.Type.IsVariadic()), true
}

func methodNames(t reflect.Type) (names []string) {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}

// misses returns what t lacks of a contract that it does not implement.
func misses(t, contract reflect.Type) error {
	for i := range contract.NumMethod() {
		want := contract.Method(i)
		got, ok := methodOf(t, want.Name)
		switch {
		case !ok:
			return fmt.Errorf("it has no method %s%s", want.Name, strings.TrimPrefix(want.Type.String(), "func"))
		case got != want.Type:
			return fmt.Errorf("%s is a %s, want %s", want.Name, got, want.Type)
		}
	}
	return errors.New("the methods have a pointer receiver; return a pointer")
}
