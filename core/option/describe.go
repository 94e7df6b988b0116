package option

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
)

// ListenOn returns the Listen of an address, where the unspecified IPv6 address
// stands for every address of the machine.
func ListenOn(addr netip.AddrPort) Listen { return Listen{addr: addr} }

// ListenAt returns the Listen of a described address or name.
func ListenAt(l core.Listener) Listen {
	if name := l.Name.Name(); name != "" {
		return Listen{addr: netip.AddrPortFrom(netip.Addr{}, l.Name.Port()), name: name}
	}
	return ListenOn(l.Addr)
}

// Describe returns the listeners of a list whose key is given: one for each known address,
// and one for each name that is looked up.
func (list ListenList) Describe(key string, networks core.Networks) []core.Listener {
	var all []core.Listener
	for i, l := range list {
		key := core.OptionKey(key, strconv.Itoa(i))
		known := l.Known()
		for _, at := range known {
			all = append(all, core.Listener{Key: key, Addr: at, Networks: networks})
		}
		if name, err := core.NewAddr(l.name, l.Port()); len(known) == 0 && err == nil {
			all = append(all, core.Listener{Key: key, Name: name, Networks: networks})
		}
	}
	return all
}

// Describe tells the secret, if the options themselves hold it.
func (p Password) Describe() core.Description {
	if p.Password == "" {
		return core.Description{}
	}
	return core.Description{Secrets: []string{"password"}}
}

// SecretKeys returns the keys of the secrets in a table of them, whose own key is
// given.
func SecretKeys(key string, secrets map[string]Text) []string {
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if secrets[name] != "" {
			keys = append(keys, core.OptionKey(key, name))
		}
	}
	return keys
}
