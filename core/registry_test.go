package core_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

type kindOptions struct {
	Size int `toml:"size" help:"how big"`
}

// kind is an outbound that remembers what it was made of.
type kind struct {
	name    string
	options kindOptions
}

func (kind) Over(wire core.Dialer) (core.Dialer, error) { return wire, nil }

func newKind(env core.Env, o kindOptions) (core.Outbound, error) {
	if o.Size < 0 {
		return nil, core.BadOption("size", "%d is negative", o.Size)
	}
	return kind{env.Name, o}, nil
}

func TestAdd(t *testing.T) {
	var reg core.Registry
	core.Add(&reg.Outbound, "b", newKind, "bee", "second")
	core.Add(&reg.Outbound, "a", newKind)
	if got := reg.Outbound.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names: got %q, want sorted, without aliases", got)
	}
	for _, name := range []string{"b", "bee", "second"} {
		k, ok := reg.Outbound.Lookup(name)
		if !ok || k.Name != "b" || k.Options != reflect.TypeFor[kindOptions]() {
			t.Fatalf("lookup %s: got %+v, %t, want kind b", name, k, ok)
		}
		made, err := k.New(coretest.Env(t), &kindOptions{Size: 7})
		if want := (kind{"test", kindOptions{7}}); made != want || err != nil {
			t.Errorf("new by %s: got %v, %v, want %v", name, made, err, want)
		}
	}
	k, _ := reg.Outbound.Lookup("a")
	var option *core.OptionError
	if made, err := k.New(coretest.Env(t), &kindOptions{Size: -1}); made != nil || !errors.As(err, &option) || option.Key != "size" {
		t.Errorf("new with a bad option: got %v, %v, want an error for size", made, err)
	}
	for _, name := range []string{"", "c", "B"} {
		if k, ok := reg.Outbound.Lookup(name); ok {
			t.Errorf("lookup %q: got %+v, want none", name, k)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		kind  string
		alias []string
	}{
		{"name twice", "a", nil},
		{"no name", "", nil},
		{"upper case", "A method", nil},
		{"alias with a dot", "new", []string{"a.b"}},
		{"no name", "", nil},
		{"upper case", "A method", nil},
		{"alias with a dot", "new", []string{"a.b"}},
		{"name of an alias", "alias", nil},
		{"alias of a name", "new", []string{"a"}},
		{"alias twice", "new", []string{"alias"}},
		{"alias of its own", "new", []string{"new"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var reg core.Registry
			core.Add(&reg.Outbound, "a", newKind, "alias")
			defer func() {
				if recover() == nil {
					t.Error("got no panic")
				}
			}()
			core.Add(&reg.Outbound, tc.kind, newKind, tc.alias...)
		})
	}
}

func TestDescribe(t *testing.T) {
	var reg core.Registry
	core.Add(&reg.Outbound, "b", newKind, "second", "bee")
	core.Add(&reg.Outbound, "a", newKind)
	want := core.KindInfo{Name: "b", Aliases: []string{"bee", "second"}, Options: reflect.TypeFor[kindOptions]()}
	for _, name := range []string{"b", "bee"} {
		if got, ok := reg.Outbound.Describe(name); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("describe %s: got %+v, %t, want %+v", name, got, ok, want)
		}
	}
	if got, ok := reg.Outbound.Describe("c"); ok {
		t.Errorf("describe c: got %+v, want none", got)
	}
}

// An empty registry can be asked everything, and has all sections.
func TestEmptyRegistry(t *testing.T) {
	var reg core.Registry
	for _, s := range core.Sections() {
		c := reg.Section(s)
		if c == nil {
			t.Fatalf("section %s: got nil", s)
		}
		if names := c.Names(); len(names) != 0 {
			t.Errorf("section %s: got %q, want no names", s, names)
		}
		if info, ok := c.Describe("direct"); ok {
			t.Errorf("section %s: got %+v, want none", s, info)
		}
	}
	if c := reg.Section("plumbing"); c != nil {
		t.Errorf("unknown section: got %v, want nil", c)
	}
	core.Add(&reg.Outbound, "a", newKind)
	for _, s := range core.Sections() {
		if got, want := len(reg.Section(s).Names()), map[bool]int{true: 1}[s == core.SectionOutbound]; got != want {
			t.Errorf("section %s: got %d names, want %d", s, got, want)
		}
	}
}
