package config

import (
	"cmp"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// listener is one address that a component listens on.
type listener struct {
	addr     option.Listen
	networks core.Networks
	id       ID
	at       int
	path     string
}

// checkListeners finds addresses that are listened on twice; the second in the
// file is the mistake.
func (c *checker) checkListeners() {
	var all []listener
	for _, component := range c.order {
		for _, l := range component.Description.Listeners {
			if l.IsValid() {
				at, path := component.place(l.Key)
				all = append(all, listener{option.ListenAt(l), l.Networks, component.ID, at, path})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b listener) int { return cmp.Compare(a.at, b.at) })
	byPort := map[uint16][]listener{}
	for _, l := range all {
		port := l.addr.Port()
		same := byPort[port]
		byPort[port] = append(same, l)
		if i := slices.IndexFunc(same, l.conflicts); i >= 0 {
			if same[i].at == l.at && same[i].id != l.id { // by like
				n, path := c.file.Components[l.id].find(keyLike)
				c.add(n.value, path, "it has the address %s of %s too; give it one of its own", l.addr, same[i].id)
				continue
			}
			c.add(l.at, l.path, "%s is also taken by %s at %s", l.addr, same[i].id, c.src.line(same[i].at, l.at))
		}
	}
}

// conflicts reports whether l and m can't both be bound. A listener whose networks
// are not known may use any.
func (l listener) conflicts(m listener) bool {
	apart := l.networks != 0 && m.networks != 0 && l.networks&m.networks == 0
	return !apart && l.addr.Conflicts(m.addr)
}
