package config

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/umbra-proxy/umbra/core/option"
)

// listener is one address that a component listens on.
type listener struct {
	addr option.Listen
	mode string // "tcp", "udp", or anything else for both
	id   ID
	at   int
	path string
}

// checkListeners finds addresses that are listened on twice; the second in the
// file is the mistake.
func (c *checker) checkListeners() {
	var all []listener
	for _, component := range c.order {
		mode := component.mode()
		component.visit(func(v reflect.Value, n *node, path string) {
			if addr, ok := v.Interface().(option.Listen); ok && addr.IsValid() {
				all = append(all, listener{addr, mode, component.ID, n.value, path})
			}
		})
	}
	slices.SortStableFunc(all, func(a, b listener) int { return cmp.Compare(a.at, b.at) })
	byPort := map[uint16][]listener{}
	for _, l := range all {
		port := l.addr.AddrPort().Port()
		same := byPort[port]
		byPort[port] = append(same, l)
		if i := slices.IndexFunc(same, l.conflicts); i >= 0 {
			line, _ := c.src.position(same[i].at)
			c.add(l.at, l.path, "%s is also taken by %s at line %d", l.addr, same[i].id, line)
		}
	}
}

func (l listener) conflicts(m listener) bool {
	apart := l.mode == "tcp" && m.mode == "udp" || l.mode == "udp" && m.mode == "tcp"
	return !apart && l.addr.Conflicts(m.addr)
}

// mode returns the text of the component's `mode` option, which tells the
// networks it listens on, or "".
func (c *Component) mode() string {
	if c.Options == nil {
		return ""
	}
	v := reflect.ValueOf(c.Options).Elem()
	for _, f := range Fields(v.Type()) {
		if f.Key == "mode" && f.Type.Kind() == reflect.String {
			return f.In(v).String()
		}
	}
	return ""
}
