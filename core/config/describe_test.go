package config

import (
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestPlace finds options by the keys of a description.
func TestPlace(t *testing.T) {
	text := pipeline + `[policy.all]
secrets = ["a", "b"]
tunings = [{ name = "x" }, { name = "y" }]
by_name = { "a.b" = { name = "z" } }
`
	f, err := Parse("x", []byte(text), kinds())
	if err != nil {
		t.Fatal(err)
	}
	c := f.Components[ID{core.SectionPolicy, "all"}]
	for _, tc := range []struct{ key, at, path string }{
		{"secrets.1", `"b"]`, "policy.all.secrets"},
		{"tunings.1.name", `"y"`, "policy.all.tunings.name"},
		{core.OptionKey("by_name", "a.b", "name"), `"z"`, `policy.all.by_name."a.b".name`},
		{"password", "[policy.all]", "policy.all.password"},
	} {
		at, path := c.place(tc.key)
		if want := strings.Index(text, tc.at); at != want || path != tc.path {
			t.Errorf("%s: got %d, %s, want %d, %s", tc.key, at, path, want, tc.path)
		}
	}
}

// panics has a mistake.
type panics struct {
	Listen option.Listen `toml:"listen" help:"address"`
}

func (p panics) Describe() core.Description {
	if p.Listen.IsValid() {
		panic("no bounds")
	}
	return core.Description{}
}

func TestDescribePanics(t *testing.T) {
	reg := kinds()
	core.Add(&reg.Policy, "panics", noBuild[core.Policy, panics])
	_, err := Parse("x", []byte(pipeline+"[policy.panics]\nlisten = \":2\"\n"), reg)
	if want := "policy.panics: a mistake in the program: describe: panic: no bounds"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// silent holds one option of each meaning and describes nothing.
type silent struct {
	Listen  option.Listen                            `toml:"listen" help:"address"`
	Server  option.Server                            `toml:"server" help:"server"`
	Asked   map[string][]option.NameServer           `toml:"asked" help:"servers"`
	Inner   *struct{ option.Password }               `toml:"inner" help:"a table"`
	Via     core.Ref[core.Outbound]                  `toml:"via" help:"outbound"`
	Servers []struct{ Cipher core.Ref[core.Cipher] } `toml:"servers" help:"untagged, so no options"`
	Under   []core.Ref[core.Transport]               `toml:"under" help:"transports"`
	Deep    map[string]map[string][]option.Text      `toml:"deep" help:"secrets"`
}

// described tells what silent does not.
type described struct{ silent }

func (d described) Describe() core.Description {
	all := core.Description{
		Listeners: []core.Listener{{Key: "listen", Addr: d.Listen.AddrPort()}},
		Servers:   []core.Server{{Key: "server", Addr: d.Server.Addr()}},
		Via:       core.Named{Key: "via", To: d.Via},
		Wire:      core.NamedList("under", d.Under),
	}
	for name, list := range d.Asked {
		for i, s := range list {
			all.Servers = append(all.Servers, core.Server{Key: core.OptionKey("asked", name, strconv.Itoa(i)), Addr: s.Addr()})
		}
	}
	if d.Inner != nil {
		all.Secrets = append(all.Secrets, "inner.password")
	}
	for outer, m := range d.Deep {
		for inner := range m {
			all.Secrets = append(all.Secrets, core.OptionKey("deep", outer, inner, "0"))
		}
	}
	return all
}

// wrong tells what is not there.
type wrong struct{ described }

func (w wrong) Describe() core.Description {
	return core.Description{Secrets: []string{"pasword"}}.With(w.described)
}

func TestCheckDescriptions(t *testing.T) {
	reg := &core.Registry{}
	core.Add(&reg.Outbound, "silent", noBuild[core.Outbound, silent])
	core.Add(&reg.Outbound, "described", noBuild[core.Outbound, described])
	core.Add(&reg.Outbound, "nothing", noBuild[core.Outbound, directOptions])
	core.Add(&reg.Policy, "wrong", noBuild[core.Policy, wrong])
	core.Add(&reg.Policy, "panics", noBuild[core.Policy, panics])
	want := strings.TrimSpace(`
outbound of kind silent: listen: Describe does not tell this address
outbound of kind silent: server: Describe does not tell this server
outbound of kind silent: asked."name.example".0: Describe does not tell this server
outbound of kind silent: inner.password: Describe does not tell this secret
outbound of kind silent: via: Describe does not tell this reference
outbound of kind silent: under.0: Describe does not tell this reference
outbound of kind silent: deep."name.example"."name.example".0: Describe does not tell this secret
policy of kind panics: all options: describe: panic: no bounds
policy of kind wrong: pasword: Describe tells of this key, which the options do not have`)
	err := CheckDescriptions(reg)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
