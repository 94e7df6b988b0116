package limit

import (
	"maps"
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

var _ core.Describer = Options{}

// Describe implements core.Describer.
func (o Options) Describe() core.Description {
	d := o.Store.Describe("store")
	for _, name := range slices.Sorted(maps.Keys(o.Users)) {
		d.ForUsers = append(d.ForUsers, core.NamedUser{Key: core.OptionKey("users", name), Name: name})
	}
	return d
}
