package core

import (
	"reflect"
	"testing"
)

// Each section is declared once, by a field of Registry, and all that is known of it is
// found from there.
func TestSections(t *testing.T) {
	reg := new(Registry)
	if all := Sections(); len(all) != reflect.TypeFor[Registry]().NumField() || all[0] != SectionInbound {
		t.Errorf("got %v, want one for each field, inbound first", all)
	}
	for _, s := range Sections() {
		if s.Help() == "" {
			t.Errorf("%s has no help", s)
		}
		if reg.Section(s) == nil {
			t.Errorf("%s has no kinds", s)
		}
		switch s.Place() {
		case NoPlace, PlaceInbound, PlaceMiddle, PlaceBeforeLast, PlaceOutbounds:
		default:
			t.Errorf("%s: unknown place %q", s, s.Place())
		}
	}
	if s := Section("none"); s.Help() != "" || s.Place() != NoPlace || reg.Section(s) != nil {
		t.Error("an unknown section has a declaration")
	}
}

// A section that is added to a registry needs no other entry.
func TestNewSection(t *testing.T) {
	type meter interface{ Count() int }
	type registry struct {
		Inbound Kinds[Inbound] `help:"accepts" chain:"inbound"`
		Meter   Kinds[meter]   `help:"counts" chain:"middle" kind:"usual"`
	}
	got := sectionsOf(reflect.TypeFor[registry]())[1]
	want := section{name: "meter", contract: reflect.TypeFor[meter](), help: "counts", place: PlaceMiddle, kind: "usual", field: 1}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRef(t *testing.T) {
	for _, tc := range []struct {
		ref  Reference
		want Section
	}{
		{Ref[Inbound]("x"), SectionInbound}, {Ref[Outbound]("x"), SectionOutbound}, {Ref[Cipher]("x"), SectionCipher},
		{Ref[Transport]("x"), SectionTransport}, {Ref[Resolver]("x"), SectionResolver}, {Ref[Policy]("x"), SectionPolicy}, {Ref[Rule]("x"), SectionRule}, {Ref[Observer]("x"), SectionObserver},
		{Ref[error]("x"), ""},
	} {
		if got := tc.ref.RefSection(); got != tc.want || tc.ref.RefName() != "x" {
			t.Errorf("%T: got %q %q, want %q x", tc.ref, got, tc.ref.RefName(), tc.want)
		}
	}
}

type lone struct{ c any }

func (l lone) Component(Reference) (any, error) { return l.c, nil }

func TestRefGet(t *testing.T) {
	if got, err := Ref[Policy]("x").Get(Env{Graph: lone{7}}); got != 7 || err != nil {
		t.Errorf("got %v, %v, want 7", got, err)
	}
	want := "cipher.x is a int, not a core.Cipher"
	if got, err := Ref[Cipher]("x").Get(Env{Graph: lone{7}}); got != nil || err == nil || err.Error() != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
}
