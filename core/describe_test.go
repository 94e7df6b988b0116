package core

import (
	"reflect"
	"slices"
	"testing"
)

func TestOptionKey(t *testing.T) {
	for _, tc := range []struct {
		name  string
		parts []string
		want  string
	}{
		{"one", []string{"listen"}, "listen"},
		{"a table", []string{"next", "tokyo", "server"}, "next.tokyo.server"},
		{"a name with dots", []string{"next", "tokyo.example", "server"}, `next."tokyo.example".server`},
		{"a list", []string{"servers", "0"}, "servers.0"},
		{"quotes", []string{"users", `a"b.c`}, `users."a\"b.c"`},
		{"an empty name", []string{"users", ""}, `users.""`},
		{"spaces", []string{"users", "a b"}, `users."a b"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := OptionKey(tc.parts...)
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if parts := SplitOptionKey(got); !slices.Equal(parts, tc.parts) {
				t.Errorf("split again: got %q, want %q", parts, tc.parts)
			}
		})
	}
}

// Any text has parts, which an option may have as its key or not.
func FuzzSplitOptionKey(f *testing.F) {
	f.Add(`next."tokyo.example".server`)
	f.Add(`"a"b.c`)
	f.Fuzz(func(t *testing.T, key string) {
		parts := SplitOptionKey(key)
		if len(parts) == 0 {
			t.Fatalf("%q: no parts", key)
		}
		if again := SplitOptionKey(OptionKey(parts...)); !slices.Equal(again, parts) {
			t.Errorf("%q: got %q, then %q", key, parts, again)
		}
	})
}

// part is an embedded struct that describes itself.
type part Description

func (p part) Describe() Description { return Description(p) }

func TestDescriptionWith(t *testing.T) {
	first := part{Secrets: []string{"a"}, Networks: OverTCP, Targets: Targets{Names: NamesSent}}
	second := part{
		Secrets: []string{"b"}, Networks: OverUDP, Targets: Targets{Names: NamesUnused},
		Via: Named{"via", Ref[Outbound]("paris")}, Listeners: []Listener{{Key: "listen"}},
	}
	got := Description{Secrets: []string{"own"}}.With(first, second)
	want := Description{
		Secrets: []string{"own", "a", "b"}, Networks: OverTCP, Targets: Targets{Names: NamesSent},
		Via: Named{"via", Ref[Outbound]("paris")}, Listeners: []Listener{{Key: "listen"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDescriptionNamed(t *testing.T) {
	d := Description{
		Targets:  Targets{Resolver: Named{"resolver", Ref[Resolver]("")}}, // left out
		Asks:     NamedList("resolvers", []Ref[Resolver]{"hosts", "dns"}),
		Wire:     []Named{{"cipher", Ref[Cipher]("house")}},
		Servers:  []Server{{Resolver: Named{"finder", Ref[Resolver]("system")}}},
		Branches: []Branch{{"paris", []Named{{"members.0", Ref[Outbound]("paris")}}}},
	}
	var keys []string
	for _, n := range d.Named() {
		keys = append(keys, n.Key)
	}
	if want := []string{"resolvers.0", "resolvers.1", "cipher", "finder", "members.0"}; !slices.Equal(keys, want) {
		t.Errorf("got %q, want %q", keys, want)
	}
}

func TestNetworksStrings(t *testing.T) {
	for n, want := range map[Networks][]string{0: nil, OverTCP: {"tcp"}, OverUDP: {"udp"}, OverTCP | OverUDP: {"tcp", "udp"}} {
		if got := n.Strings(); !slices.Equal(got, want) {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestUsersWith(t *testing.T) {
	alice, file := UsersOf(map[string]int{"alice": 1}), &Users{More: true}
	for _, tc := range []struct{ of, with, want *Users }{
		{nil, nil, nil}, {alice, nil, alice}, {nil, alice, alice},
		{alice, &Users{Names: []string{"bob"}}, &Users{Names: []string{"alice", "bob"}}},
		{alice, file, &Users{Names: []string{"alice"}, More: true}}, {file, alice, &Users{Names: []string{"alice"}, More: true}},
	} {
		if got := tc.of.With(tc.with); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%v with %v: got %v, want %v", tc.of, tc.with, got, tc.want)
		}
	}
}
