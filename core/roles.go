package core

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// optional is a contract that a component may have beside that of its section. Its
// users find it by a type assertion, so a component that misses it by a typing error
// would lose it in silence. A method with the contract's name shows that the contract
// was meant.
type optional struct {
	name     string
	contract reflect.Type
	section  Section // whose components are asked for it; "" for all
	want     string  // the method, as it must be declared
	method   lookup
}

// lookup finds the method of an optional contract. The name is a constant in each, or
// the linker would keep every exported method of every type in the program.
type lookup func(t reflect.Type) (reflect.Method, bool)

// optionals returns the optional contracts, one for each of their methods.
func optionals() []optional {
	return []optional{
		{"core.Runner", reflect.TypeFor[Runner](), "", "Run(context.Context)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Run") }},
		{"core.Commander", reflect.TypeFor[Commander](), "", "Command(context.Context, []string) (any, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Command") }},
		{"core.Measurer", reflect.TypeFor[Measurer](), "", "Measure(func(core.Figure))",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Measure") }},
		{"core.Retirer", reflect.TypeFor[Retirer](), "", "Retire()",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Retire") }},
		{"core.Shutdowner", reflect.TypeFor[Shutdowner](), "", "Shutdown(context.Context) error",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Shutdown") }},
		{"core.Gate", reflect.TypeFor[Gate](), SectionPolicy, "Admit(core.Client) error, and Observe(core.Event)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Admit") }},
		{"core.Middleware", reflect.TypeFor[Middleware](), SectionPolicy, "Wrap(core.Dialer) core.Dialer",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Wrap") }},
		{"core.Observer", reflect.TypeFor[Observer](), SectionPolicy, "Observe(core.Event)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Observe") }},
		{"core.StepObserver", reflect.TypeFor[StepObserver](), "", "WantsSteps() bool, and Observe(core.Event)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("WantsSteps") }},
		{"core.DropObserver", reflect.TypeFor[DropObserver](), "", "ObserveDrops(core.Drops), and Observe(core.Event)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("ObserveDrops") }},
		{"core.PacketInbound", reflect.TypeFor[PacketInbound](), SectionInbound, "ServesPackets() bool",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("ServesPackets") }},
		{"core.PacketCipher", reflect.TypeFor[PacketCipher](), SectionCipher, "NewPacketClient() (core.PacketClient, error), and NewPacketServer() (core.PacketServer, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("NewPacketClient") }},
		{"core.PacketCipher", reflect.TypeFor[PacketCipher](), SectionCipher, "NewPacketServer() (core.PacketServer, error), and NewPacketClient() (core.PacketClient, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("NewPacketServer") }},
		{"core.RelayCipher", reflect.TypeFor[RelayCipher](), SectionCipher, "NewRelay([]core.NextServer) (core.IdentityRelay, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("NewRelay") }},
		{"core.ServerChecker", reflect.TypeFor[ServerChecker](), SectionTransport, "CheckServer() error",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("CheckServer") }},
		{"core.ClientChecker", reflect.TypeFor[ClientChecker](), SectionTransport, "CheckClient() error",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("CheckClient") }},
		{"core.Chooser", reflect.TypeFor[Chooser](), SectionOutbound, "Choices(context.Context, *core.Request, bool) ([]core.Choice, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Choices") }},
		{"core.Previewer", reflect.TypeFor[Previewer](), SectionPolicy, "Preview(context.Context, *core.Request, bool) (*core.Request, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Preview") }},
		{"core.EarlyTransport", reflect.TypeFor[EarlyTransport](), SectionTransport, "ClientEarly(context.Context, core.Stream, core.Addr, []byte) (core.Stream, int, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("ClientEarly") }},
		{"core.RuleExplainer", reflect.TypeFor[RuleExplainer](), SectionRule, "Explain(*core.Request, core.Addr, []netip.Addr) (core.Judgement, []core.RuleReason)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Explain") }},
		{"core.RuleComparer", reflect.TypeFor[RuleComparer](), SectionRule, "HiddenBy(core.Rule) (hidden, of int)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("HiddenBy") }},
		{"core.Teller", reflect.TypeFor[Teller](), SectionResolver, "Tell(context.Context, string) ([]core.Found, error)",
			func(t reflect.Type) (reflect.Method, bool) { return t.MethodByName("Tell") }},
	}
}

// checkComponent returns why a component that a constructor returned can't be used.
func checkComponent(kind string, s Section, c any) error {
	t := reflect.TypeOf(c)
	if t == nil || t.Kind() == reflect.Pointer && reflect.ValueOf(c).IsNil() {
		return fmt.Errorf("kind %q: its constructor returned neither a component nor an error", kind)
	}
	var errs []error
	for _, o := range optionals() {
		if o.section == "" || o.section == s {
			errs = append(errs, o.check(kind, t))
		}
	}
	err := errors.Join(errs...)
	if err == nil && s == SectionPolicy {
		return checkPolicy(kind, c)
	}
	return err
}

// check returns an error if a component of type t has the contract's method in another
// form.
func (o optional) check(kind string, t reflect.Type) error {
	if t.Implements(o.contract) {
		return nil
	}
	m, ok := o.method(t)
	if !ok && t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
		m, ok = o.method(t)
	}
	switch {
	case !ok:
		return nil
	case t.Implements(o.contract):
		return fmt.Errorf("kind %q has the method %s with a pointer receiver, so it would never be called; return a pointer", kind, m.Name)
	}
	return fmt.Errorf("kind %q has the method %s%s but is no %s, so it would never be called; want %s", kind, m.Name, signature(m), o.name, o.want)
}

// signature returns the parameters and results of a method, without its receiver.
func signature(m reflect.Method) string {
	var in, out []reflect.Type
	for i := 1; i < m.Type.NumIn(); i++ {
		in = append(in, m.Type.In(i))
	}
	for i := range m.Type.NumOut() {
		out = append(out, m.Type.Out(i))
	}
	return strings.TrimPrefix(reflect.FuncOf(in, out, m.Type.IsVariadic()).String(), "func")
}

// checkPolicy returns an error for a policy without a role.
func checkPolicy(kind string, p Policy) error {
	switch p.(type) {
	case Gate, Middleware, Observer:
		return nil
	}
	return fmt.Errorf("kind %q is neither a core.Gate, a core.Middleware nor a core.Observer, so it would do nothing", kind)
}
