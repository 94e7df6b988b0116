package option

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/umbra-proxy/umbra/core"
)

// ListenOn returns the Listen of an address, where the unspecified IPv6 address
// stands for every address of the machine.
func ListenOn(addr netip.AddrPort) Listen { return Listen{addr} }

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
